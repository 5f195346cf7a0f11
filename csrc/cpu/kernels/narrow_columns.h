#pragma once

#include "core/axis.h"
#include "cpu/kernels/scratch.h"

namespace voxpool::cpu::VOXPOOL_UNIT {
namespace {

// Channels-last rows of few channels, cut into vectors of n lanes of the output: where tap 0 of a vector's first lane
// lies in the input row, how much further on that of each lane lies, and the codes of the first taps inside the input.
class NarrowColumns {
 public:
  static int64_t bytes(const Axis& w, int64_t channels, int64_t n) {
    const int64_t vectors = ceil_div(w.out * channels, n);
    return Scratch::bytes_for<int64_t>(vectors) + 2 * Scratch::bytes_for<uint8_t>(vectors * n);
  }

  // Whether the lanes of a vector lie within two vectors of the input. What they look like repeats after `channels`.
  static bool fit(const Axis& w, int64_t channels, int64_t n) {
    for (int64_t first = 0; first < channels * n; first += n) {
      for (int64_t j = 0; j < n; ++j) {
        if (offset(w, channels, first + j) - offset(w, channels, first) >= 2 * n) return false;
      }
    }
    return true;
  }

  NarrowColumns() = default;
  NarrowColumns(const Axis& w, int64_t channels, int64_t n, int64_t code_step, Scratch& scratch) {
    const int64_t length = w.out * channels, vectors = ceil_div(length, n);
    position_ = scratch.take<int64_t>(vectors);
    index_ = scratch.take<uint8_t>(vectors * n);
    first_code_ = scratch.take<uint8_t>(vectors * n);
    for (int64_t i = 0; i < vectors * n; ++i) {
      const int64_t first = i / n * n, lane = i < length ? i : first;
      if (i == first) position_[i / n] = offset(w, channels, i) - w.pad_begin * channels;
      index_[i] = static_cast<uint8_t>(offset(w, channels, lane) - offset(w, channels, first));
      first_code_[i] = static_cast<uint8_t>(w.taps(lane / channels).begin * code_step);
    }
  }

  VOXPOOL_INLINE int64_t position(int64_t vector) const { return position_[vector]; }
  VOXPOOL_INLINE const uint8_t* index(int64_t lane) const { return index_ + lane; }
  VOXPOOL_INLINE const uint8_t* first_codes(int64_t lane) const { return first_code_ + lane; }

 private:
  // Where tap 0 of an output lane lies, but for the padding.
  static int64_t offset(const Axis& w, int64_t channels, int64_t lane) {
    return lane / channels * w.stride * channels + lane % channels;
  }

  int64_t* position_ = nullptr;
  uint8_t* index_ = nullptr;
  uint8_t* first_code_ = nullptr;
};

}  // namespace
}  // namespace voxpool::cpu::VOXPOOL_UNIT
