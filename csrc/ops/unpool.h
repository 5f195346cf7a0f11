#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/SymIntArrayRef.h>

#include "ops/arguments.h"

// Unpooling: the ops through the dispatcher, and what the real and the fake kernels share. Tensors are (N, C, D, H, W)
// or (C, D, H, W).
namespace voxpool::ops {

// Elements of `input` at the flat positions `indices` of volumes of `output_size`, zero elsewhere; linear in input. The
// result is contiguous, or channels_last_3d where asked for.
at::Tensor max_unpool3d(const at::Tensor& input, const at::Tensor& indices, c10::SymIntArrayRef output_size,
                        bool channels_last);

// The elements of `source` at `indices`, contiguous: torch's gradient of max_unpool3d.
at::Tensor max_unpool3d_gather(const at::Tensor& source, const at::Tensor& indices);

// torch's checks of the tensors and of the output's lengths, in torch's order, over 2 or 3 axes. `Int` is int64_t or
// c10::SymInt.
template <class Int>
void check_unpool(const at::Tensor& input, const at::Tensor& indices, c10::ArrayRef<Int> output_size, int spatial_dims);
void check_unpool_gather(const at::Tensor& source, const at::Tensor& indices);

// Sizes of the result.
template <class Int>
Sizes<Int> unpooled_sizes(c10::ArrayRef<Int> input, c10::ArrayRef<Int> output_size) {
  Sizes<Int> sizes(input.begin(), input.end() - 3);
  sizes.append(output_size.begin(), output_size.end());
  return sizes;
}

}  // namespace voxpool::ops
