#pragma once

#include <string>
#include <vector>

// What the CUDA part of this build was compiled for.
namespace voxpool::cuda {

// Such as "sm_90", lowest first; empty in a build without CUDA.
std::vector<std::string> built_architectures();

}  // namespace voxpool::cuda
