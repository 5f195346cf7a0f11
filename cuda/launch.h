#pragma once

#include <cstdint>

#include "core/portability.h"
#include "cuda/queue.h"

// A kernel here is a function object with its arguments as members: operator()(item) does the work of one thread. nvcc
// makes a CUDA kernel of it; any other compiler runs the same source in a loop, which is how it is tested without a
// GPU. Threads share nothing, no barrier and no shared memory, so the order of a loop is one that a device may choose
// too.
#if defined(__CUDACC__)
#define VOXPOOL_DEVICE __device__ __forceinline__
#define VOXPOOL_UNROLL _Pragma("unroll")
#else
#define VOXPOOL_DEVICE inline
#define VOXPOOL_UNROLL
#endif

namespace voxpool::cuda {

// Four warps: small enough for a kernel of 128 registers a thread to keep four blocks on a multiprocessor.
inline constexpr uint32_t block_size = 128;

#if defined(__CUDACC__)

void check_launch(const char* kernel);

// Without the 1, a minimum of blocks on a multiprocessor, ptxas 13.0 spills a few registers where that lets one more
// in.
template <class Kernel>
__global__ void __launch_bounds__(block_size, 1) run_items(const __grid_constant__ Kernel kernel, int64_t items) {
  const int64_t item = int64_t{blockIdx.x} * block_size + threadIdx.x;
  if (item < items) kernel(static_cast<typename Kernel::Item>(item));
}

// Fewer than 2^31 blocks, what grid.x can hold.
template <class Kernel>
void launch(const char* name, const Kernel& kernel, int64_t items, const Queue& queue) {
  const int64_t blocks = (items + block_size - 1) / block_size;
  run_items<<<static_cast<uint32_t>(blocks), block_size, 0, static_cast<cudaStream_t>(queue.stream)>>>(kernel, items);
  check_launch(name);
}

#else

template <class Kernel>
void launch(const char*, const Kernel& kernel, int64_t items, const Queue&) {
  for (int64_t item = items; item-- > 0;) kernel(static_cast<typename Kernel::Item>(item));
}

#endif

}  // namespace voxpool::cuda
