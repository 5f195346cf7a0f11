#include <ATen/core/Tensor.h>
#include <ATen/ops/empty_strided.h>
#include <torch/library.h>

#include "ops/checks.h"
#include "ops/layout.h"
#include "ops/unpool.h"

// The ops on tensors without data, for torch.compile, export and shape inference: checks, sizes and strides of the real
// kernels, with symbolic sizes.
namespace voxpool::ops {
namespace {

using at::IntArrayRef;
using at::Tensor;
using c10::SymInt;
using c10::SymIntArrayRef;
using TensorPair = std::tuple<Tensor, Tensor>;

struct Result {
  Sizes<SymInt> sizes;
  Sizes<SymInt> strides;
  TapType taps;

  Tensor empty(const Tensor& like, at::ScalarType type) const {
    return at::empty_strided_symint(sizes, strides, like.options().dtype(type));
  }
};

Result pool(const Tensor& input, const Arguments& arguments) {
  const Window window = parse_window(arguments, 3);
  Sizes<SymInt> sizes = pooled_sizes<SymInt>(input.sym_sizes(), window);
  scalar_type(input, "max_pool3d");
  Sizes<SymInt> strides = dense_strides<SymInt>(sizes, output_format(input));
  return {std::move(sizes), std::move(strides), tap_type(window)};
}

Tensor max_pool3d(const Tensor& input, IntArrayRef kernel_size, IntArrayRef stride, IntArrayRef padding,
                  IntArrayRef dilation, bool ceil_mode) {
  return pool(input, {kernel_size, stride, padding, dilation, ceil_mode}).empty(input, input.scalar_type());
}

TensorPair max_pool3d_with_indices(const Tensor& input, IntArrayRef kernel_size, IntArrayRef stride,
                                   IntArrayRef padding, IntArrayRef dilation, bool ceil_mode) {
  const Result result = pool(input, {kernel_size, stride, padding, dilation, ceil_mode});
  return {result.empty(input, input.scalar_type()), result.empty(input, at::kLong)};
}

TensorPair max_pool3d_taps(const Tensor& input, IntArrayRef kernel_size, IntArrayRef stride, IntArrayRef padding,
                           IntArrayRef dilation, bool ceil_mode) {
  const Result result = pool(input, {kernel_size, stride, padding, dilation, ceil_mode});
  return {result.empty(input, input.scalar_type()), result.empty(input, torch_type(result.taps))};
}

// A result with the sizes and strides of the taps.
Tensor like_taps(const Tensor& taps, at::ScalarType type) {
  const bool dense = taps.is_non_overlapping_and_dense();
  const Sizes<SymInt> contiguous = dense_strides<SymInt>(taps.sym_sizes(), at::MemoryFormat::Contiguous);
  return at::empty_strided_symint(taps.sym_sizes(), dense ? taps.sym_strides() : SymIntArrayRef(contiguous),
                                  taps.options().dtype(type));
}

Tensor max_pool3d_backward(const Tensor& grad_output, const Tensor& taps, SymIntArrayRef input_size,
                           IntArrayRef kernel_size, IntArrayRef stride, IntArrayRef padding, IntArrayRef dilation,
                           bool ceil_mode) {
  const Window window = parse_window({kernel_size, stride, padding, dilation, ceil_mode}, 3);
  check_backward<SymInt>(grad_output, taps, input_size, pooled_sizes<SymInt>(input_size, window), tap_type(window));
  return at::empty_strided_symint(input_size, dense_strides<SymInt>(input_size, input_gradient_format(taps)),
                                  grad_output.options());
}

Tensor max_pool3d_gather(const Tensor& input, const Tensor& taps, IntArrayRef kernel_size, IntArrayRef stride,
                         IntArrayRef padding, IntArrayRef dilation, bool ceil_mode) {
  const Window window = parse_window({kernel_size, stride, padding, dilation, ceil_mode}, 3);
  check_gather<SymInt>(input, taps, pooled_sizes<SymInt>(input.sym_sizes(), window), tap_type(window));
  return like_taps(taps, input.scalar_type());
}

Tensor max_pool3d_indices(const Tensor& taps, SymIntArrayRef input_size, IntArrayRef kernel_size, IntArrayRef stride,
                          IntArrayRef padding, IntArrayRef dilation, bool ceil_mode) {
  const Window window = parse_window({kernel_size, stride, padding, dilation, ceil_mode}, 3);
  check_indices<SymInt>(taps, input_size, pooled_sizes<SymInt>(input_size, window), tap_type(window));
  return like_taps(taps, at::kLong);
}

Tensor unpool(const Tensor& input, const Tensor& indices, SymIntArrayRef output_size, bool channels_last) {
  check_unpool(input, indices, output_size, 3);
  const Sizes<SymInt> sizes = unpooled_sizes<SymInt>(input.sym_sizes(), output_size);
  const auto format = channels_last ? at::MemoryFormat::ChannelsLast3d : at::MemoryFormat::Contiguous;
  return at::empty_strided_symint(sizes, dense_strides<SymInt>(sizes, format), input.options());
}

Tensor unpool_gather(const Tensor& source, const Tensor& indices) {
  check_unpool_gather(source, indices);
  return at::empty_strided_symint(
      indices.sym_sizes(), dense_strides<SymInt>(indices.sym_sizes(), at::MemoryFormat::Contiguous), source.options());
}

}  // namespace

TORCH_LIBRARY_IMPL(voxpool, Meta, m) {
  m.impl("max_pool3d", max_pool3d);
  m.impl("_max_pool3d_relu", max_pool3d);
  m.impl("max_pool3d_with_indices", max_pool3d_with_indices);
  m.impl("_max_pool3d_taps", max_pool3d_taps);
  m.impl("_max_pool3d_relu_taps", max_pool3d_taps);
  m.impl("_max_pool3d_backward", max_pool3d_backward);
  m.impl("_max_pool3d_gather", max_pool3d_gather);
  m.impl("_max_pool3d_indices", max_pool3d_indices);
  m.impl("_max_unpool3d", unpool);
  m.impl("_max_unpool3d_gather", unpool_gather);
}

}  // namespace voxpool::ops
