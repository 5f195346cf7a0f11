#pragma once

#include <utility>
#include <vector>

#include "core/problem.h"

namespace voxpool::ops {

// Whether this build has CUDA kernels.
bool has_cuda_kernels();

// The CUDA kernels for a problem, best first, each with its reason not to run it or null; none in a build without CUDA.
using Refusals = std::vector<std::pair<const char*, const char*>>;
Refusals cuda_refusals(const Forward& problem);
Refusals cuda_refusals(const Backward& problem);
Refusals cuda_refusals(const TapIndices& problem);

}  // namespace voxpool::ops
