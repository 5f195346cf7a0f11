#include <voxpool/ops.h>

#include "ops/dispatch.h"
#include "ops/operators.h"

// <voxpool/ops.h>: every function is a call of the op of the same name.
namespace voxpool {
namespace {

using at::IntArrayRef;
using at::Tensor;
using ops::NamedPool;
using ops::Pool;

// Pads an input shape with one channel, as the rules for shapes are those of tensors.
ops::Sizes<int64_t> with_channel(IntArrayRef spatial_sizes) {
  const size_t count = spatial_sizes.size();
  TORCH_CHECK(count >= 1 && count <= 3, "output_size: expected one to three spatial sizes, but got ", count);
  ops::Sizes<int64_t> sizes{1};
  sizes.append(spatial_sizes.begin(), spatial_sizes.end());
  return sizes;
}

}  // namespace

Tensor max_pool3d(const Tensor& input, IntArrayRef kernel_size, IntArrayRef stride, IntArrayRef padding,
                  IntArrayRef dilation, bool ceil_mode) {
  return ops::max_pool3d(input, {kernel_size, stride, padding, dilation, ceil_mode});
}

TensorAndIndices max_pool3d_with_indices(const Tensor& input, IntArrayRef kernel_size, IntArrayRef stride,
                                         IntArrayRef padding, IntArrayRef dilation, bool ceil_mode) {
  return ops::max_pool3d_with_indices(input, {kernel_size, stride, padding, dilation, ceil_mode});
}

Tensor max_pool2d(const Tensor& input, IntArrayRef kernel_size, IntArrayRef stride, IntArrayRef padding,
                  IntArrayRef dilation, bool ceil_mode) {
  static const auto op = ops::find_op<Pool<Tensor>>("voxpool::max_pool2d");
  return op.call(input, kernel_size, stride, padding, dilation, ceil_mode);
}

TensorAndIndices max_pool2d_with_indices(const Tensor& input, IntArrayRef kernel_size, IntArrayRef stride,
                                         IntArrayRef padding, IntArrayRef dilation, bool ceil_mode) {
  static const auto op = ops::find_op<Pool<TensorAndIndices>>("voxpool::max_pool2d_with_indices");
  return op.call(input, kernel_size, stride, padding, dilation, ceil_mode);
}

Tensor max_pool1d(const Tensor& input, IntArrayRef kernel_size, IntArrayRef stride, IntArrayRef padding,
                  IntArrayRef dilation, bool ceil_mode) {
  static const auto op = ops::find_op<Pool<Tensor>>("voxpool::max_pool1d");
  return op.call(input, kernel_size, stride, padding, dilation, ceil_mode);
}

TensorAndIndices max_pool1d_with_indices(const Tensor& input, IntArrayRef kernel_size, IntArrayRef stride,
                                         IntArrayRef padding, IntArrayRef dilation, bool ceil_mode) {
  static const auto op = ops::find_op<Pool<TensorAndIndices>>("voxpool::max_pool1d_with_indices");
  return op.call(input, kernel_size, stride, padding, dilation, ceil_mode);
}

Tensor max_pool3d(const Tensor& input, IntArrayRef kernel_size, IntArrayRef stride, const PaddingMode& padding,
                  IntArrayRef dilation, bool ceil_mode) {
  static const auto op = ops::find_op<NamedPool<Tensor>>("voxpool::max_pool3d", "padding");
  return op.call(input, kernel_size, stride, padding.name(), dilation, ceil_mode);
}

TensorAndIndices max_pool3d_with_indices(const Tensor& input, IntArrayRef kernel_size, IntArrayRef stride,
                                         const PaddingMode& padding, IntArrayRef dilation, bool ceil_mode) {
  static const auto op = ops::find_op<NamedPool<TensorAndIndices>>("voxpool::max_pool3d_with_indices", "padding");
  return op.call(input, kernel_size, stride, padding.name(), dilation, ceil_mode);
}

Tensor max_pool2d(const Tensor& input, IntArrayRef kernel_size, IntArrayRef stride, const PaddingMode& padding,
                  IntArrayRef dilation, bool ceil_mode) {
  static const auto op = ops::find_op<NamedPool<Tensor>>("voxpool::max_pool2d", "padding");
  return op.call(input, kernel_size, stride, padding.name(), dilation, ceil_mode);
}

TensorAndIndices max_pool2d_with_indices(const Tensor& input, IntArrayRef kernel_size, IntArrayRef stride,
                                         const PaddingMode& padding, IntArrayRef dilation, bool ceil_mode) {
  static const auto op = ops::find_op<NamedPool<TensorAndIndices>>("voxpool::max_pool2d_with_indices", "padding");
  return op.call(input, kernel_size, stride, padding.name(), dilation, ceil_mode);
}

Tensor max_pool1d(const Tensor& input, IntArrayRef kernel_size, IntArrayRef stride, const PaddingMode& padding,
                  IntArrayRef dilation, bool ceil_mode) {
  static const auto op = ops::find_op<NamedPool<Tensor>>("voxpool::max_pool1d", "padding");
  return op.call(input, kernel_size, stride, padding.name(), dilation, ceil_mode);
}

TensorAndIndices max_pool1d_with_indices(const Tensor& input, IntArrayRef kernel_size, IntArrayRef stride,
                                         const PaddingMode& padding, IntArrayRef dilation, bool ceil_mode) {
  static const auto op = ops::find_op<NamedPool<TensorAndIndices>>("voxpool::max_pool1d_with_indices", "padding");
  return op.call(input, kernel_size, stride, padding.name(), dilation, ceil_mode);
}

namespace {

Tensor max_unpool(const char* name, const Tensor& input, const Tensor& indices, IntArrayRef kernel_size,
                  IntArrayRef stride, IntArrayRef padding, IntArrayRef output_size) {
  const auto op = ops::find_op<Tensor(const Tensor&, const Tensor&, IntArrayRef, at::OptionalIntArrayRef, IntArrayRef,
                                      at::OptionalSymIntArrayRef)>(name);
  const std::vector<c10::SymInt> sizes(output_size.begin(), output_size.end());
  return op.call(input, indices, kernel_size, stride, padding,
                 sizes.empty() ? std::nullopt : at::OptionalSymIntArrayRef(sizes));
}

}  // namespace

Tensor max_unpool3d(const Tensor& input, const Tensor& indices, IntArrayRef kernel_size, IntArrayRef stride,
                    IntArrayRef padding, IntArrayRef output_size) {
  return max_unpool("voxpool::max_unpool3d", input, indices, kernel_size, stride, padding, output_size);
}

Tensor max_unpool2d(const Tensor& input, const Tensor& indices, IntArrayRef kernel_size, IntArrayRef stride,
                    IntArrayRef padding, IntArrayRef output_size) {
  return max_unpool("voxpool::max_unpool2d", input, indices, kernel_size, stride, padding, output_size);
}

Tensor max_unpool1d(const Tensor& input, const Tensor& indices, IntArrayRef kernel_size, IntArrayRef stride,
                    IntArrayRef padding, IntArrayRef output_size) {
  return max_unpool("voxpool::max_unpool1d", input, indices, kernel_size, stride, padding, output_size);
}

std::vector<int64_t> output_size(IntArrayRef input_size, IntArrayRef kernel_size, IntArrayRef stride,
                                 IntArrayRef padding, IntArrayRef dilation, bool ceil_mode) {
  const ops::Sizes<int64_t> sizes = with_channel(input_size);
  const Window window =
      ops::parse_window({kernel_size, stride, padding, dilation, ceil_mode}, static_cast<int>(input_size.size()));
  const ops::Sizes<int64_t> pooled = ops::pooled_sizes<int64_t>(sizes, window);
  return {pooled.begin() + 1, pooled.end()};
}

std::vector<int64_t> output_size(IntArrayRef input_size, IntArrayRef kernel_size, IntArrayRef stride,
                                 const PaddingMode& padding, IntArrayRef dilation, bool ceil_mode) {
  const auto pads = ops::named_padding<int64_t>(padding.name(), {kernel_size, stride, {}, dilation, ceil_mode},
                                                with_channel(input_size), static_cast<int>(input_size.size()));
  return output_size(input_size, kernel_size, stride, pads, dilation, ceil_mode);
}

}  // namespace voxpool
