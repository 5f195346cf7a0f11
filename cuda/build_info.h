#pragma once

#include <string>
#include <vector>

// What the CUDA part of this build was compiled for. Both are empty in a build without CUDA.
namespace voxpool::cuda {

// Such as "sm_90", lowest first.
std::vector<std::string> built_architectures();

// Version of the toolkit, such as "13.0".
std::string toolkit_version();

}  // namespace voxpool::cuda
