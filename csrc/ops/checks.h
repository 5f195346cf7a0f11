#pragma once

#include <ATen/core/Tensor.h>

#include <string_view>

#include "core/scalar_type.h"
#include "core/tap_code.h"
#include "ops/arguments.h"

// Checks of tensors that the real and the fake kernels share.
namespace voxpool::ops {

// The kernels' name of a dtype; NotImplementedError naming `op` for one they do not have, as torch's kernels raise.
ScalarType scalar_type(const at::Tensor& tensor, const char* op);

at::ScalarType torch_type(TapType type);

// Raises unless grad_output is floating.
void check_gradient_dtype(const at::Tensor& grad_output);

// Raises unless `taps` has the dtype that belongs to the window.
void check_taps(const at::Tensor& taps, TapType type, const char* op);
void check_same_device(const at::Tensor& tensor, const char* name, const at::Tensor& taps, const char* op);

// Raises, naming both shapes, unless a tensor has the sizes that pooling an input of `input` gives.
template <class Int>
void check_output_shape(c10::ArrayRef<Int> sizes, const char* name, c10::ArrayRef<Int> input,
                        c10::ArrayRef<Int> expected, const char* op);

}  // namespace voxpool::ops
