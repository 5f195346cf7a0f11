#pragma once

#include <bit>

#include "cuda/kernels/maximum.h"
#include "cuda/kernels/pack.h"

namespace voxpool::cuda {

// The running maxima of `outputs` outputs that lie next to each other.
template <class T, Keep what, int outputs>
struct Maxima {
  static constexpr Keep keep = what;
  static constexpr int count = outputs;

  Maximum<T, keep> at[count];

  // first_code(i): see Maximum::none.
  template <class FirstCode>
  static VOXPOOL_DEVICE Maxima none(FirstCode&& first_code) {
    Maxima maxima;
    VOXPOOL_UNROLL
    for (int i = 0; i < count; ++i) maxima.at[i] = Maximum<T, keep>::none(first_code(i));
    return maxima;
  }

  VOXPOOL_DEVICE void take(const Pack<T, count>& x, uint32_t code) {
    VOXPOOL_UNROLL
    for (int i = 0; i < count; ++i) at[i].take(Maximum<T, keep>::Element::load(x.at[i]), code);
  }
  VOXPOOL_DEVICE void take(const Maxima& later, uint32_t offset) {
    VOXPOOL_UNROLL
    for (int i = 0; i < count; ++i) at[i].take(later.at[i], offset);
  }

  VOXPOOL_DEVICE void rectify(uint32_t no_tap) {
    VOXPOOL_UNROLL
    for (int i = 0; i < count; ++i) at[i].rectify(no_tap);
  }
  VOXPOOL_DEVICE T element(int i) const { return at[i].element(); }
  VOXPOOL_DEVICE uint32_t code(int i) const { return at[i].code; }
};

// Values of 16-bit floats, two in a register: one instruction takes the maximum of both. Without taps either zero and
// any NaN will do.
template <class T, int outputs>
struct PackedMaxima {
  static constexpr Keep keep = Keep::values;
  static constexpr int count = outputs;
  using Pair = Pack<T, 2>;

  Pack<Pair, count / 2> pairs;

  template <class FirstCode>
  static VOXPOOL_DEVICE PackedMaxima none(FirstCode&&) {
    return {splat<count / 2>(splat<2>(lowest<T>()))};
  }

  VOXPOOL_DEVICE void take(const Pack<T, count>& x, uint32_t) {
    take(PackedMaxima{std::bit_cast<Pack<Pair, count / 2>>(x)}, 0);
  }
  VOXPOOL_DEVICE void take(const PackedMaxima& later, uint32_t) {
    VOXPOOL_UNROLL
    for (int i = 0; i < count / 2; ++i) pairs.at[i] = greater(later.pairs.at[i], pairs.at[i]);
  }

  VOXPOOL_DEVICE void rectify(uint32_t) {
    VOXPOOL_UNROLL
    for (int i = 0; i < count / 2; ++i) pairs.at[i] = greater(pairs.at[i], splat<2>(T{}));
  }
  VOXPOOL_DEVICE T element(int i) const { return pairs.at[i / 2].at[i % 2]; }
  VOXPOOL_DEVICE Pack<T, count> pack() const { return std::bit_cast<Pack<T, count>>(pairs); }

 private:
  static VOXPOOL_DEVICE Pair greater(const Pair& x, const Pair& best) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
    uint32_t result;
    if constexpr (T::mantissa == Float16::mantissa) {
      asm("max.NaN.f16x2 %0, %1, %2;"
          : "=r"(result)
          : "r"(std::bit_cast<uint32_t>(x)), "r"(std::bit_cast<uint32_t>(best)));
    } else {
      asm("max.NaN.bf16x2 %0, %1, %2;"
          : "=r"(result)
          : "r"(std::bit_cast<uint32_t>(x)), "r"(std::bit_cast<uint32_t>(best)));
    }
    return std::bit_cast<Pair>(result);
#else
    Pair result;
    VOXPOOL_UNROLL
    for (int i = 0; i < 2; ++i) result.at[i] = wins(x.at[i], best.at[i]) ? x.at[i] : best.at[i];
    return result;
#endif
  }
};

}  // namespace voxpool::cuda
