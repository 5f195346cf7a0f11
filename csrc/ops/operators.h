#pragma once

#include <ATen/core/Tensor.h>

#include <tuple>

#include "ops/arguments.h"

// Calls of the 3-D ops through the dispatcher. The public ones are in <voxpool/ops.h>.
namespace voxpool::ops {

at::Tensor max_pool3d(const at::Tensor& input, const Arguments& arguments);
std::tuple<at::Tensor, at::Tensor> max_pool3d_with_indices(const at::Tensor& input, const Arguments& arguments);

// Output and taps: what training keeps is the position of each maximum inside its window.
std::tuple<at::Tensor, at::Tensor> max_pool3d_taps(const at::Tensor& input, const Arguments& arguments);

// The gradient of the pooled input; linear in grad_output.
at::Tensor max_pool3d_backward(const at::Tensor& grad_output, const at::Tensor& taps, c10::SymIntArrayRef input_size,
                               const Arguments& arguments);

// The element of `input` at each tap, zero without one; linear in input, the transpose of max_pool3d_backward.
at::Tensor max_pool3d_gather(const at::Tensor& input, const at::Tensor& taps, const Arguments& arguments);

// Flat positions in the unpadded input.
at::Tensor max_pool3d_indices(const at::Tensor& taps, c10::SymIntArrayRef input_size, const Arguments& arguments);

}  // namespace voxpool::ops
