#pragma once

#include <ATen/core/Tensor.h>

#include "core/problem.h"
#include "ops/arguments.h"

// Which strides results get, and which strides a kernel is given. Tensors here are (N, C, D, H, W) or (C, D, H, W).
namespace voxpool::ops {

// torch's rule for the result of pooling `input`: channels_last_3d when suggest_memory_format() says so; an unbatched
// input has to be dense in that order.
at::MemoryFormat output_format(const at::Tensor& input);

// torch's rule for the gradient of an input, told from the taps, which have the strides of the output: an unbatched
// gradient is always contiguous. Of one channel pooled to a single position the taps cannot tell the order of the
// input; the gradient of a channels-last one is then contiguous, where torch's is channels-last.
at::MemoryFormat input_gradient_format(const at::Tensor& taps);

// Strides of a dense tensor of these sizes; `Int` is int64_t or c10::SymInt.
template <class Int>
Sizes<Int> dense_strides(c10::ArrayRef<Int> sizes, at::MemoryFormat format);

// The strides a kernel sees. The stride of an axis of length one means nothing, so it becomes what kernels for dense
// tensors look for.
Strides kernel_strides(const at::Tensor& tensor);

// Whether both tensors keep every element at the same offset.
bool same_layout(const at::Tensor& a, const at::Tensor& b);

}  // namespace voxpool::ops
