#pragma once

#include "cpu/simd/vector.h"

// Elements of several channels, one channel behind the other or one position behind the other, and the way between.
namespace voxpool::cpu::VOXPOOL_UNIT {
namespace {

// Square blocks are turned in registers: as many elements a side as fit a vector, 16 at most.
template <class T>
constexpr int block = lanes<T> < 16 ? lanes<T> : 16;

template <class T>
struct BlockRowOf {
  typedef T type __attribute__((vector_size(block<T> * sizeof(T))));
};
template <class T>
using BlockRow = typename BlockRowOf<T>::type;

// Rows i and i + n / 2 of n become rows 2 i and 2 i + 1, their elements taking turns. log2(n) such rounds turn the
// block: each moves the highest bit of the row's number to the bottom of the column's.
template <class T, int... j>
VOXPOOL_INLINE void take_turns(BlockRow<T> (&rows)[block<T>], std::integer_sequence<int, j...>) {
  constexpr int n = block<T>;
  BlockRow<T> turned[n];
#pragma GCC unroll 16
  for (int i = 0; i < n / 2; ++i) {
    turned[2 * i] = __builtin_shufflevector(rows[i], rows[i + n / 2], (j / 2 + j % 2 * n)...);
    turned[2 * i + 1] = __builtin_shufflevector(rows[i], rows[i + n / 2], (n / 2 + j / 2 + j % 2 * n)...);
  }
#pragma GCC unroll 16
  for (int i = 0; i < n; ++i) rows[i] = turned[i];
}

template <class T>
VOXPOOL_INLINE void transpose(BlockRow<T> (&rows)[block<T>]) {
#pragma GCC unroll 4
  for (int n = 1; n < block<T>; n *= 2) take_turns<T>(rows, std::make_integer_sequence<int, block<T>>());
}

// `channels` runs of `positions` elements, `channel_stride` apart.
template <class T>
struct ChannelRuns {
  T* data;
  int64_t channel_stride;
  int64_t channels;
  int64_t positions;
};

// to[i * group + c] = run c at position i. Channels above those there are hold the last of these: kernels read
// nothing that was never written. `group` is a multiple of the block; `to` has room for a block of positions more.
template <class T>
void to_channels_last(const ChannelRuns<const T>& from, T* to, int64_t group) {
  constexpr int n = block<T>;
  for (int64_t c = 0; c < group; c += n) {
    const T* run[n];
    for (int64_t k = 0; k < n; ++k) {
      run[k] = from.data + (c + k < from.channels ? c + k : from.channels - 1) * from.channel_stride;
    }
    for (int64_t i = 0; i < from.positions; i += n) {
      // The last block overlaps the one before it.
      const int64_t at = i + n <= from.positions ? i : from.positions < n ? 0 : from.positions - n;
      BlockRow<T> rows[n];
      if (from.positions < n) {
        for (int k = 0; k < n; ++k) {
          rows[k] = BlockRow<T>{};
          std::memcpy(&rows[k], run[k], from.positions * sizeof(T));
        }
      } else {
#pragma GCC unroll 16
        for (int k = 0; k < n; ++k) std::memcpy(&rows[k], run[k] + at, sizeof rows[k]);
      }
      transpose<T>(rows);
#pragma GCC unroll 16
      for (int k = 0; k < n; ++k) std::memcpy(to + (at + k) * group + c, &rows[k], sizeof rows[k]);
    }
  }
}

// The way back: `from` may be read a block of positions past its end.
template <class T>
void from_channels_last(const T* from, int64_t group, const ChannelRuns<T>& to) {
  constexpr int n = block<T>;
  for (int64_t c = 0; c < to.channels; c += n) {
    const int count = to.channels - c < n ? static_cast<int>(to.channels - c) : n;
    for (int64_t i = 0; i < to.positions; i += n) {
      const int64_t at = i + n <= to.positions ? i : to.positions < n ? 0 : to.positions - n;
      const int64_t size = to.positions < n ? to.positions : n;
      BlockRow<T> rows[n];
#pragma GCC unroll 16
      for (int k = 0; k < n; ++k) std::memcpy(&rows[k], from + (at + k) * group + c, sizeof rows[k]);
      transpose<T>(rows);
      T* run = to.data + c * to.channel_stride + at;
      if (size == n && count == n) {
#pragma GCC unroll 16
        for (int k = 0; k < n; ++k) std::memcpy(run + k * to.channel_stride, &rows[k], sizeof rows[k]);
      } else {
        for (int k = 0; k < count; ++k) std::memcpy(run + k * to.channel_stride, &rows[k], size * sizeof(T));
      }
    }
  }
}

}  // namespace
}  // namespace voxpool::cpu::VOXPOOL_UNIT
