#pragma once

#include "core/unpool.h"
#include "cuda/queue.h"

namespace voxpool::cuda {

// Writes the named elements only; the rest of the output is zeroed by the caller, beforehand.
void launch_unpool(const Unpool& problem, const Queue& queue);
void launch_unpool(const UnpoolGather& problem, const Queue& queue);
void launch_unpool(const UnpoolWinners& problem, const Queue& queue);

}  // namespace voxpool::cuda
