#pragma once

#include "cuda/kernels/items.h"
#include "cuda/launch_plan.h"

// From the numbers of a problem to those of the kernels for fixed windows, which count in 32 bits.
namespace voxpool::cuda {

inline Extent extent(const Axis& axis) {
  return {static_cast<int32_t>(axis.in), static_cast<int32_t>(axis.out), static_cast<int32_t>(axis.pad_begin)};
}

inline VolumeStrides volume_strides(const Strides& s) {
  return {s.n, s.c, static_cast<uint32_t>(s.d), static_cast<uint32_t>(s.h), static_cast<uint32_t>(s.w)};
}

inline Items items(const Threads& threads, const Chunks& chunks) {
  const auto divisor = [](int64_t n) { return FastDivisor(static_cast<uint32_t>(n)); };
  return {divisor(threads.channels), divisor(threads.columns), divisor(threads.rows), divisor(chunks.count),
          threads.channels_inner};
}

}  // namespace voxpool::cuda
