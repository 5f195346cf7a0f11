#include <voxpool/info.h>

#include "build_config.h"
#include "cpu/capability.h"
#include "cuda/device.h"

namespace voxpool {

const char* version() { return build_config::version; }

namespace {

std::vector<std::string> names_of(const std::vector<cpu::Capability>& capabilities) {
  std::vector<std::string> names;
  for (const cpu::Capability capability : capabilities) names.emplace_back(cpu::name_of(capability));
  return names;
}

}  // namespace

BuildInfo build_info() {
  return {build_config::version,    build_config::torch_version,         build_config::compiler,
          build_config::build_type, names_of(cpu::built_capabilities()), cuda::built_architectures()};
}

std::string cpu_capability() { return std::string(cpu::name_of(cpu::capability())); }

std::vector<std::string> available_cpu_capabilities() { return names_of(cpu::available_capabilities()); }

void set_cpu_capability(const std::string& name) { cpu::set_capability(name); }

}  // namespace voxpool
