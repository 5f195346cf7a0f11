#include "cpu/capability.h"

#include <atomic>
#include <cstdlib>
#include <stdexcept>
#include <string>

namespace voxpool::cpu {
namespace {

constexpr Capability all_capabilities[] = {Capability::baseline, Capability::avx2, Capability::avx512};

bool is_available(Capability capability) {
  switch (capability) {
    case Capability::baseline:
      return true;
    case Capability::avx2:
#ifdef VOXPOOL_HAVE_AVX2
      return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c");
#else
      return false;
#endif
    case Capability::avx512:
#ifdef VOXPOOL_HAVE_AVX512
      return is_available(Capability::avx2) && __builtin_cpu_supports("avx512f") &&
             __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
             __builtin_cpu_supports("avx512vl");
#else
      return false;
#endif
  }
  return false;
}

Capability parse(std::string_view name, const char* source) {
  std::string available;
  for (const Capability capability : available_capabilities()) {
    if (name == name_of(capability)) return capability;
    available += (available.empty() ? "'" : ", '") + std::string(name_of(capability)) + "'";
  }
  throw std::invalid_argument(std::string(source) + ": expected one of " + available +
                              " (what this build and this processor have), but got '" + std::string(name) + "'");
}

Capability initial_capability() {
  const char* forced = std::getenv("VOXPOOL_CPU_CAPABILITY");
  return forced != nullptr && *forced != '\0' ? parse(forced, "VOXPOOL_CPU_CAPABILITY")
                                              : available_capabilities().back();
}

std::atomic<Capability>& current() {
  static std::atomic<Capability> capability{initial_capability()};
  return capability;
}

}  // namespace

std::string_view name_of(Capability capability) {
  switch (capability) {
    case Capability::baseline:
      return "baseline";
    case Capability::avx2:
      return "avx2";
    case Capability::avx512:
      return "avx512";
  }
  return "";
}

const std::vector<Capability>& available_capabilities() {
  static const std::vector<Capability> available = [] {
    std::vector<Capability> found;
    for (const Capability capability : all_capabilities) {
      if (is_available(capability)) found.push_back(capability);
    }
    return found;
  }();
  return available;
}

Capability capability() { return current().load(std::memory_order_relaxed); }

void set_capability(std::string_view name) {
  current().store(parse(name, "set_cpu_capability"), std::memory_order_relaxed);
}

}  // namespace voxpool::cpu
