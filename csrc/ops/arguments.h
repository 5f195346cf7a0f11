#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/SymIntArrayRef.h>
#include <c10/util/SmallVector.h>

#include <string_view>

#include "core/geometry.h"
#include "core/tap_code.h"

// From the arguments of a call to core's Window and Geometry, with torch's errors in torch's order.
namespace voxpool::ops {

// The arguments of a pooling as the schemas deliver them: one value for all axes or one per axis; padding may also be a
// (begin, end) pair per axis; an empty stride means kernel_size. `relu` selects the ops that put the maximum through
// one.
struct Arguments {
  at::IntArrayRef kernel_size;
  at::IntArrayRef stride;
  at::IntArrayRef padding;
  at::IntArrayRef dilation;
  bool ceil_mode;
  bool relu = false;
};

template <class Int>
using Sizes = c10::SmallVector<Int, 5>;

// What a call to the 3-D ops describes.
struct Pooling {
  Geometry geometry;
  TapCode code;
  Sizes<int64_t> output_sizes;  // as many as the input has
};

// Checks the number of values of every argument and that each fits an int32. `spatial_dims` (1 to 3) selects how many
// values there are and the wording of errors.
Window parse_window(const Arguments& arguments, int spatial_dims);

// torch checks the rank before anything else for one axis, and after the number of values otherwise.
template <class Int>
void check_rank(c10::ArrayRef<Int> sizes, int spatial_dims);

// The padding that a name stands for: 'valid', or 'same' (TensorFlow's rule), which depends on the sizes. `sizes`
// are the input's; the result is one (begin, end) pair per axis, to be passed on as `padding`.
template <class Int>
c10::SmallVector<Int, 6> named_padding(std::string_view name, const Arguments& arguments, c10::ArrayRef<Int> sizes,
                                       int spatial_dims);

// Sizes of the result for an input of these sizes, batched or not. `Int` is int64_t or c10::SymInt.
template <class Int>
Sizes<Int> pooled_sizes(c10::ArrayRef<Int> input, const Window& window);

// The geometry of the 3-D ops.
Pooling parse_pooling(at::IntArrayRef input_sizes, const Arguments& arguments);

// How a tap of this window is stored; independent of the sizes.
TapType tap_type(const Window& window);

}  // namespace voxpool::ops
