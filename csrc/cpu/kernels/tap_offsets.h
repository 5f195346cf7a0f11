#pragma once

#include <array>
#include <utility>

#include "core/problem.h"
#include "cpu/simd/stream.h"
#include "cpu/simd/widen.h"

// From tap codes to flat positions in the input.
namespace voxpool::cpu::VOXPOOL_UNIT {
namespace {

// How far the tap of a code lies from the first tap of its window. With the axes in the order of their steps in the
// code, innermost first, code = t0 + K0 * (t1 + K1 * t2), and the distance t0 * s0 + t1 * s1 + t2 * s2 is
//   code * s0 + (code / K0) * (s1 - K0 * s0) + (code / (K0 * K1)) * (s2 - K1 * s1).
// Codes are bytes, so that code / K is (code * ceil(2^16 / K)) >> 16 exactly.
class TapOffsets {
 public:
  TapOffsets() = default;

  // `index_step`: of the flat position, per axis of the geometry.
  TapOffsets(const Geometry& g, const TapCode& code, const std::array<int64_t, 3>& index_step) {
    std::array<int, 3> inner{2, 1, 0};
    const auto order = [&](int i, int j) {
      if (code.step[inner[i]] > code.step[inner[j]]) std::swap(inner[i], inner[j]);
    };
    order(0, 1), order(1, 2), order(0, 1);
    std::array<int64_t, 3> step;
    for (int i = 0; i < 3; ++i) {
      const Axis& axis = g.axes[inner[i]];
      step[i] = axis.kernel == 1 ? 0 : index_step[inner[i]] * axis.dilation;  // the dilation of one tap may be anything
    }
    const auto kernel = [&](int i) { return g.axes[inner[i]].kernel; };
    factor_ = {step[0], step[1] - kernel(0) * step[0], step[2] - kernel(1) * step[1]};
    reciprocal_ = {ceil_div(one, kernel(0)), ceil_div(one, kernel(0) * kernel(1))};

    const auto magnitude = [](int64_t x) { return x < 0 ? -x : x; };
    const int64_t largest = (kernel(0) * kernel(1) * kernel(2) - 1) * magnitude(factor_[0]) +
                            (kernel(1) * kernel(2) - 1) * magnitude(factor_[1]) +
                            (kernel(2) - 1) * magnitude(factor_[2]);
    narrow_ = largest < int64_t{1} << 31;
  }

  VOXPOOL_INLINE int64_t operator[](uint8_t code) const {
    return code * factor_[0] + (code * reciprocal_[0] >> shift) * factor_[1] +
           (code * reciprocal_[1] >> shift) * factor_[2];
  }

  // to[i] = base + i * step + the offset of codes[i].
  void positions(const uint8_t* codes, int64_t count, int64_t base, int64_t step, int64_t* to, Stores stores) const {
    constexpr int n = lanes<int32_t>, half = lanes<int64_t>;
    if (!narrow_ || count < n) {
      for (int64_t i = 0; i < count; ++i) to[i] = base + i * step + (*this)[codes[i]];
      return;
    }
    Vector<int64_t> ramp;
    for (int j = 0; j < half; ++j) ramp[j] = base + j * step;
    const auto narrow = [](int64_t x) { return splat(static_cast<int32_t>(x)); };
    const Vector<int32_t> r0 = narrow(reciprocal_[0]), r1 = narrow(reciprocal_[1]);
    const Vector<int32_t> f0 = narrow(factor_[0]), f1 = narrow(factor_[1]), f2 = narrow(factor_[2]);
    for (int64_t i = 0; i < count; i += n) {
      const int64_t at = i + n <= count ? i : count - n;
      const Vector<int32_t> code = widen_bytes(codes + at);
      const Vector<int32_t> offset = code * f0 + (code * r0 >> shift) * f1 + (code * r1 >> shift) * f2;
      const Vector<int64_t> first = ramp + at * step;
      // Little of what the vector before has stored is stored again.
      if (at + half > i) store_first(to + at, widen_low(offset) + first, half, stores);
      store_first(to + at + half, widen_high(offset) + (first + half * step), half, stores);
    }
  }

 private:
  static constexpr int shift = 16;
  static constexpr int64_t one = int64_t{1} << shift;

  std::array<int64_t, 3> factor_{};
  std::array<int64_t, 2> reciprocal_{};
  bool narrow_ = false;  // the summands fit an int32
};

}  // namespace
}  // namespace voxpool::cpu::VOXPOOL_UNIT
