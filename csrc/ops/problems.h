#pragma once

#include <ATen/core/Tensor.h>

#include "core/problem.h"
#include "ops/arguments.h"

// Kernel problems from tensors whose shapes, dtypes and layouts are checked. Meta tensors give problems without
// addresses, enough to ask a variant whether it would run.
namespace voxpool::ops {

// `taps` and `indices` may be undefined.
Forward forward_problem(const Pooling& pooling, const at::Tensor& input, const at::Tensor& output,
                        const at::Tensor& taps, const at::Tensor& indices);

// `grad_output` and `taps` have the same layout.
Backward backward_problem(const Pooling& pooling, const at::Tensor& grad_output, const at::Tensor& taps,
                          const at::Tensor& grad_input);

// Bytes of input and output that a problem touches, which decides whether more than one thread is worth it.
int64_t bytes_touched(const at::Tensor& a, const at::Tensor& b);

}  // namespace voxpool::ops
