#include "cpu/capability.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

#include <atomic>
#include <cstdlib>
#include <stdexcept>
#include <string>

namespace voxpool::cpu {
namespace {

#if defined(__x86_64__)
// Not a feature that every compiler knows by name.
bool has_f16c() {
  unsigned a = 0, b = 0, c = 0, d = 0;
  return __get_cpuid(1, &a, &b, &c, &d) != 0 && (c & bit_F16C) != 0;
}
#endif

bool runs_here(Capability capability) {
#if defined(__x86_64__)
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && has_f16c();
  if (capability == Capability::avx2) return avx2;
  if (capability == Capability::avx512) {
    return avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
  }
#endif
  return capability == Capability::baseline;
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

const std::vector<Capability>& built_capabilities() {
  static const std::vector<Capability> built{
      Capability::baseline,
#ifdef VOXPOOL_HAVE_AVX2
      Capability::avx2,
#endif
#ifdef VOXPOOL_HAVE_AVX512
      Capability::avx512,
#endif
  };
  return built;
}

const std::vector<Capability>& available_capabilities() {
  static const std::vector<Capability> available = [] {
    std::vector<Capability> found;
    for (const Capability capability : built_capabilities()) {
      if (runs_here(capability)) found.push_back(capability);
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
