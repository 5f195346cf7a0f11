#include <voxpool/ops.h>

#include "ops/axes.h"
#include "ops/dispatch.h"
#include "ops/operators.h"

// <voxpool/ops.h>: every function is a call of the op of the same name.
namespace voxpool {
namespace {

using at::IntArrayRef;
using at::Tensor;
using ops::NamedPool;
using ops::Pool;

std::vector<int64_t> outputs(const std::vector<Axis>& axes) {
  std::vector<int64_t> lengths;
  for (const Axis& axis : axes) lengths.push_back(axis.out);
  return lengths;
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
  return outputs(ops::axes(input_size, {kernel_size, stride, padding, dilation, ceil_mode}, {}));
}

std::vector<int64_t> output_size(IntArrayRef input_size, IntArrayRef kernel_size, IntArrayRef stride,
                                 const PaddingMode& padding, IntArrayRef dilation, bool ceil_mode) {
  return outputs(ops::axes(input_size, {kernel_size, stride, {}, dilation, ceil_mode}, padding.name()));
}

}  // namespace voxpool
