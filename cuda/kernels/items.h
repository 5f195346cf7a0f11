#pragma once

#include <type_traits>

#include "core/fast_divisor.h"
#include "cuda/launch.h"

namespace voxpool::cuda {

// Which part of a tensor a thread works on: a chunk of planes at (n, c, h, w), where c and w may count vectors.
struct Position {
  uint32_t n, c, chunk, h, w;
};

// Threads in the order of memory, so that neighbours read neighbouring addresses: along w, h, chunk, c, n, or with the
// channels first.
struct Items {
  FastDivisor channels, columns, rows, chunks;
  bool channels_inner;

  VOXPOOL_DEVICE Position position(uint32_t item) const {
    Position at;
    if (channels_inner) at.c = channels.split(item);
    at.w = columns.split(item);
    at.h = rows.split(item);
    at.chunk = chunks.split(item);
    if (!channels_inner) at.c = channels.split(item);
    at.n = item;
    return at;
  }
};

// The planes of one chunk.
struct Planes {
  int32_t begin, end;
};

// Chunk number `chunk` of `planes` planes cut into chunks of `depth`.
VOXPOOL_DEVICE Planes planes_of_chunk(uint32_t chunk, int32_t depth, int32_t planes) {
  const int32_t begin = static_cast<int32_t>(chunk) * depth, end = begin + depth;
  return {begin, end < planes ? end : planes};
}

// What a thread owns of a row: 16 bytes of the input, and the outputs above them.
template <class T, class W>
struct RowVector {
  static constexpr int inputs = 16 / sizeof(T);
  static constexpr int outputs = inputs / W::stride;
};

// Calls f with the padding at the beginning of a row as a type, so that the compiler knows which elements a window
// takes.
template <class W, class F>
VOXPOOL_DEVICE void with_padding(int32_t padding, F&& f) {
  if constexpr (W::look_back > 0) {
    if (padding > 0) return f(std::integral_constant<int, 1>{});
  }
  f(std::integral_constant<int, 0>{});
}

// Distances, in elements, where one volume spans fewer than 2^31.
struct VolumeStrides {
  int64_t n, c;
  uint32_t d, h, w;

  // Where volume (n, c) begins.
  VOXPOOL_DEVICE int64_t volume(uint32_t n_index, uint32_t c_index) const { return n_index * n + c_index * c; }
  // Where element (d, h, w) of a volume lies; meaningless outside it.
  VOXPOOL_DEVICE uint32_t element(int32_t d_index, int32_t h_index, int32_t w_index) const {
    return static_cast<uint32_t>(d_index) * d + static_cast<uint32_t>(h_index) * h + static_cast<uint32_t>(w_index) * w;
  }
};

// What is not known to the compiler of an axis with a fixed window.
struct Extent {
  int32_t in, out, pad;

  VOXPOOL_DEVICE bool has_input(int32_t i) const { return static_cast<uint32_t>(i) < static_cast<uint32_t>(in); }
  VOXPOOL_DEVICE bool has_output(int32_t o) const { return static_cast<uint32_t>(o) < static_cast<uint32_t>(out); }
};

}  // namespace voxpool::cuda
