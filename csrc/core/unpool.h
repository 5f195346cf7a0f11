#pragma once

#include <cstdint>

#include "core/problem.h"
#include "core/scalar_type.h"

// Unpooling: elements brought back to the positions that pooling took them from. Only moves elements, so all types of
// one size are the same. Pointers address element (0, 0, 0, 0, 0).
namespace voxpool {

// Sizes of an (N, C, D, H, W) tensor.
struct Lengths {
  int64_t n, c, d, h, w;

  VOXPOOL_INLINE constexpr int64_t positions() const { return d * h * w; }
  VOXPOOL_INLINE constexpr int64_t elements() const { return n * c * positions(); }
};

// Distances in elements of a tensor whose volumes are evenly spaced runs: along n, along c, and from one position
// d * H * W + h * W + w to the next.
struct FlatStrides {
  int64_t n, c, position;
};

// output[n, c, indices[n, c, i]] = input[n, c, i], zero elsewhere. Of several i with one index the last in d, h, w
// order wins. An index outside [0, volume) is left out.
struct Unpool {
  Lengths lengths;  // of input and indices
  int64_t volume;   // positions of a volume of the output
  ScalarType dtype;
  const void* input;
  Strides input_strides;
  const int64_t* indices;
  Strides index_strides;
  void* output;  // dense
  FlatStrides output_strides;
};

// output[n, c, i] = source[n, c, indices[n, c, i]], zero for an index outside [0, volume).
struct UnpoolGather {
  Lengths lengths;  // of indices and output
  int64_t volume;   // positions of a volume of the source
  ScalarType dtype;
  const void* source;
  FlatStrides source_strides;
  const int64_t* indices;
  Strides index_strides;
  void* output;
  Strides output_strides;
};

// winners[n, c, k] = the last i, as a position in d, h, w order, with indices[n, c, i] == k. Positions nobody names
// keep what they hold: -1, so that winners are indices that an UnpoolGather takes.
struct UnpoolWinners {
  Lengths lengths;
  int64_t volume;
  const int64_t* indices;
  Strides index_strides;
  int64_t* winners;  // contiguous
};

// The Unpool whose winners are known, as a gather of them from the same input; `source` and its strides are the
// input's.
inline UnpoolGather gather_of_winners(const Unpool& p, const int64_t* winners, const void* source,
                                      const FlatStrides& source_strides) {
  const Lengths& l = p.lengths;
  const FlatStrides& out = p.output_strides;
  return {
      .lengths = {l.n, l.c, 1, 1, p.volume},
      .volume = l.positions(),
      .dtype = p.dtype,
      .source = source,
      .source_strides = source_strides,
      .indices = winners,
      .index_strides = {l.c * p.volume, p.volume, 0, 0, 1},
      .output = p.output,
      .output_strides = {out.n, out.c, 0, 0, out.position},
  };
}

}  // namespace voxpool
