#pragma once

#include <string>
#include <vector>

// What the CUDA part of this build was compiled for, and the device it meets.
namespace voxpool::cuda {

// Such as "sm_90", lowest first; empty in a build without CUDA.
std::vector<std::string> built_architectures();

// Of the device with this number, read once. Throws std::runtime_error when the runtime cannot tell.
int multiprocessors(int device);

}  // namespace voxpool::cuda
