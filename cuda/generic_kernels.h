#pragma once

#include "core/problem.h"
#include "cuda/queue.h"

namespace voxpool::cuda {

// Any window, strides, element type and size.
void launch_generic(const Forward& problem, const Queue& queue);
void launch_generic(const Backward& problem, const Queue& queue);
void launch_generic(const Gather& problem, const Queue& queue);
void launch_generic(const TapIndices& problem, const Queue& queue);

}  // namespace voxpool::cuda
