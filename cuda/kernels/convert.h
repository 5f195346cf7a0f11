#pragma once

#include <type_traits>

#include "core/element.h"
#include "cuda/launch.h"

// Between 16-bit floats and float, by the instructions of the device where it has them.
namespace voxpool::cuda {

template <class T>
VOXPOOL_DEVICE Sum<T> to_sum(T x) {
#if defined(__CUDA_ARCH__)
  if constexpr (std::is_same_v<T, Float16>) {
    float value;
    asm("cvt.f32.f16 %0, %1;" : "=f"(value) : "h"(x.bits));
    return value;
  }
#endif
  return widen(x);
}

// Rounds to nearest, ties to even.
template <class T>
VOXPOOL_DEVICE T from_sum(Sum<T> x) {
#if defined(__CUDA_ARCH__)
  if constexpr (std::is_same_v<T, Float16>) {
    T half;
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(half.bits) : "f"(x));
    return half;
  }
#if __CUDA_ARCH__ >= 800
  if constexpr (std::is_same_v<T, BFloat16>) {
    T half;
    asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(half.bits) : "f"(x));
    return half;
  }
#endif
#endif
  return narrow<T>(x);
}

}  // namespace voxpool::cuda
