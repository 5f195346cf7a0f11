#pragma once

#include <cstdint>

#include "core/problem.h"

// How the kernels for fixed windows cut a problem into threads: plain integers in, a plan out, no device needed.
namespace voxpool::cuda {

// What one thread owns within a plane: `channels` neighbouring channels of one output (forward) or of the inputs from
// one window to the next along h and w (backward), or `columns` neighbouring inputs of a row.
struct Ownership {
  int64_t channels = 1;
  int64_t columns = 1;
};

// Number of threads along every axis of a problem, before planes are put together to chunks.
struct Threads {
  int64_t batch, channels, planes, rows, columns;
  bool channels_inner;  // neighbouring threads are neighbouring channels, not columns

  int64_t lines() const { return batch * channels * rows * columns; }
  int64_t count() const { return lines() * planes; }
};

Threads plan_threads(const Forward& problem, Ownership owns);
Threads plan_threads(const Backward& problem, Ownership owns);

// Threads of a launch are numbered with 31 bits.
inline constexpr int64_t most_threads = (int64_t{1} << 31) - 1;

// How many threads keep a device busy. A multiprocessor holds at most 2048, and half of that with kernels of up to 64
// registers a thread.
int64_t threads_to_fill(int multiprocessors);

// Chunks along d, each the work of one thread.
struct Chunks {
  int64_t depth;  // planes of a chunk, the last may have fewer
  int64_t count;
};

// Where windows overlap along d every chunk begins with planes that its neighbour reads too, so chunks are as long as
// leaves twice `fill` threads: one set that runs, and one that evens out the end. Where they do not, a chunk only saves
// finding out where the next one lies, which costs about as much as two planes: at most four planes, and eight times
// `fill` threads.
Chunks plan_chunks(const Threads& threads, bool overlapping, int64_t fill);

// Whether every element of a volume lies fewer than 2^31 elements from its first.
bool fits_int32(const std::array<int64_t, 3>& sizes, const Strides& strides);

// Whether vectors of `elements` stay aligned wherever the strides of these sizes lead; axes of length one lead nowhere.
bool keeps_alignment(int64_t elements, const std::array<int64_t, 4>& sizes, const std::array<int64_t, 4>& strides);

// Whether an address is a multiple of `bytes`.
bool is_aligned(const void* address, int64_t bytes);

}  // namespace voxpool::cuda
