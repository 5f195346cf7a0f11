#pragma once

#include <cstdint>

#include "core/portability.h"

namespace voxpool {

// Quotients rounded towards minus and plus infinity; the divisor is positive.
VOXPOOL_INLINE constexpr int64_t floor_div(int64_t a, int64_t b) { return a / b - (a % b < 0 ? 1 : 0); }
VOXPOOL_INLINE constexpr int64_t ceil_div(int64_t a, int64_t b) { return a / b + (a % b > 0 ? 1 : 0); }

// A half-open range of indices; empty when end <= begin.
struct Range {
  int64_t begin;
  int64_t end;

  VOXPOOL_INLINE constexpr bool empty() const { return end <= begin; }
  VOXPOOL_INLINE constexpr int64_t size() const { return empty() ? 0 : end - begin; }
  VOXPOOL_INLINE constexpr bool operator==(const Range& other) const {
    return begin == other.begin && end == other.end;
  }
};

// One pooled axis. Tap t of output o reads input position o * stride - pad_begin + t * dilation; padding at the end
// only changes `out`, so asymmetric padding needs no field of its own.
struct Axis {
  int64_t in;
  int64_t out;
  int64_t kernel;
  int64_t stride;
  int64_t pad_begin;
  int64_t dilation;

  // Input position of tap 0 of output o; negative inside the leading padding.
  VOXPOOL_INLINE constexpr int64_t start(int64_t o) const { return o * stride - pad_begin; }

  // Distance between the first and the last tap of a window.
  VOXPOOL_INLINE constexpr int64_t reach() const { return (kernel - 1) * dilation; }

  // The taps of output o that lie inside the input.
  VOXPOOL_INLINE constexpr Range taps(int64_t o) const {
    const int64_t first = start(o);
    const int64_t begin = first < 0 ? ceil_div(-first, dilation) : 0;
    const int64_t end = ceil_div(in - first, dilation);
    return {begin, end < kernel ? end : kernel};
  }

  // The outputs whose window spans input position i. With dilation > 1 some of them have no tap on i: see tap_on.
  VOXPOOL_INLINE constexpr Range windows(int64_t i) const {
    const int64_t begin = ceil_div(i + pad_begin - reach(), stride);
    const int64_t end = floor_div(i + pad_begin, stride) + 1;
    return {begin > 0 ? begin : 0, end < out ? end : out};
  }

  // The tap of output o that reads input position i, or -1. i lies in the span of the window.
  VOXPOOL_INLINE constexpr int64_t tap_on(int64_t o, int64_t i) const {
    const int64_t offset = i - start(o);
    return offset % dilation == 0 ? offset / dilation : -1;
  }

  // Whether some tap of output o reads input position i, which may lie anywhere.
  VOXPOOL_INLINE constexpr bool has_tap_on(int64_t o, int64_t i) const {
    const int64_t offset = i - start(o);
    return offset >= 0 && offset % dilation == 0 && offset / dilation < kernel;
  }

  // Whether two windows may span the same input position.
  VOXPOOL_INLINE constexpr bool overlapping() const { return reach() >= stride; }

  // Whether some window has no tap inside the input. That needs dilation > in: otherwise the first tap at or after
  // position 0 lies before position `dilation`, and a pad is smaller than the effective kernel.
  VOXPOOL_INLINE constexpr bool has_empty_window() const {
    if (in >= dilation) return false;
    for (int64_t o = 0; o < out && start(o) < 0; ++o) {
      if (taps(o).empty()) return true;
    }
    return false;
  }
};

}  // namespace voxpool
