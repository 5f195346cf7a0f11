#include <voxpool/info.h>

#include "build_config.h"
#include "cpu/capability.h"
#include "cuda/build_info.h"

namespace voxpool {

const char* version() { return build_config::version; }

BuildInfo build_info() {
  std::vector<std::string> capabilities{"baseline"};
#ifdef VOXPOOL_HAVE_AVX2
  capabilities.emplace_back("avx2");
#endif
#ifdef VOXPOOL_HAVE_AVX512
  capabilities.emplace_back("avx512");
#endif
  return {build_config::version, build_config::torch_version, build_config::compiler, build_config::build_type,
          capabilities,          cuda::built_architectures()};
}

std::string cpu_capability() { return std::string(cpu::name_of(cpu::capability())); }

std::vector<std::string> available_cpu_capabilities() {
  std::vector<std::string> names;
  for (const cpu::Capability capability : cpu::available_capabilities()) names.emplace_back(cpu::name_of(capability));
  return names;
}

void set_cpu_capability(const std::string& name) { cpu::set_capability(name); }

}  // namespace voxpool
