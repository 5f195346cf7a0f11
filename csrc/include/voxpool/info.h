#pragma once

#include <voxpool/version.h>

#include <string>
#include <vector>

namespace voxpool {

// What this copy of the library was compiled from and for.
struct BuildInfo {
  std::string version;
  std::string torch;  // the version of its headers; another minor version is another binary interface
  std::string compiler;
  std::string build_type;
  std::vector<std::string> cpu_capabilities;    // instruction sets it contains, lowest first
  std::vector<std::string> cuda_architectures;  // such as "sm_90"; empty in a build without CUDA
};
VOXPOOL_API BuildInfo build_info();

// Instruction set of the CPU kernels in use: "baseline", "avx2" or "avx512". It starts as the highest that this build
// contains and this processor runs, or as VOXPOOL_CPU_CAPABILITY says; results do not depend on it. Setting it takes
// effect for calls that start afterwards; std::invalid_argument for a name that is not available. The available ones
// are listed lowest first.
VOXPOOL_API std::string cpu_capability();
VOXPOOL_API std::vector<std::string> available_cpu_capabilities();
VOXPOOL_API void set_cpu_capability(const std::string& name);

}  // namespace voxpool
