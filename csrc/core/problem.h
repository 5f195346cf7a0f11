#pragma once

#include <cstdint>

#include "core/geometry.h"
#include "core/scalar_type.h"
#include "core/tap_code.h"

// What a kernel is asked to do: plain data, the same for every device. Pointers address element (0, 0, 0, 0, 0).
namespace voxpool {

// Distances in elements between neighbours along each axis of an (N, C, D, H, W) tensor.
struct Strides {
  int64_t n, c, d, h, w;
};

// output[o] = maximum over the window of o, with `relu` zero instead of a maximum that is not above zero, which then
// has no tap. `taps` and `indices` are written where not null and share the output's strides.
struct Forward {
  Geometry geometry;
  ScalarType dtype;
  TapCode code;
  const void* input;
  Strides input_strides;
  void* output;
  void* taps;        // element type: code.type
  int64_t* indices;  // flat d * H * W + h * W + w inside the unpadded input, -1 for a window without taps
  Strides output_strides;
  bool relu = false;    // without indices
  bool stream = false;  // results are written past the caches, where a device has such stores
};

// grad_input[i] = sum of grad_output[o], in ascending order of o and starting from +0, over the outputs o whose tap is
// i. Every element of grad_input is written. Only floating dtypes.
struct Backward {
  Geometry geometry;
  ScalarType dtype;
  TapCode code;
  const void* grad_output;
  const void* taps;
  Strides output_strides;  // of grad_output and taps
  void* grad_input;
  Strides input_strides;
  bool stream = false;  // see Forward
};

// output[o] = input[tap of o], zero for a window without taps: the derivative of the pooling along a tangent.
struct Gather {
  Geometry geometry;
  ScalarType dtype;
  TapCode code;
  const void* input;
  Strides input_strides;
  const void* taps;
  void* output;
  Strides output_strides;  // of taps and output
};

// indices[o] = flat position of the tap of o, -1 for a window without taps.
struct TapIndices {
  Geometry geometry;
  TapCode code;
  const void* taps;
  int64_t* indices;
  Strides output_strides;  // of taps and indices
};

}  // namespace voxpool
