#include "ops/operators.h"

#include "ops/dispatch.h"

namespace voxpool::ops {
namespace {

using at::IntArrayRef;
using at::Tensor;
using c10::SymIntArrayRef;
using TensorPair = std::tuple<Tensor, Tensor>;

}  // namespace

Tensor max_pool3d(const Tensor& input, const Arguments& a) {
  static const auto plain = find_op<Pool<Tensor>>("voxpool::max_pool3d");
  static const auto relu = find_op<Pool<Tensor>>("voxpool::_max_pool3d_relu");
  return (a.relu ? relu : plain).call(input, a.kernel_size, a.stride, a.padding, a.dilation, a.ceil_mode);
}

TensorPair max_pool3d_with_indices(const Tensor& input, const Arguments& a) {
  static const auto op = find_op<Pool<TensorPair>>("voxpool::max_pool3d_with_indices");
  return op.call(input, a.kernel_size, a.stride, a.padding, a.dilation, a.ceil_mode);
}

TensorPair max_pool3d_taps(const Tensor& input, const Arguments& a) {
  static const auto plain = find_op<Pool<TensorPair>>("voxpool::_max_pool3d_taps");
  static const auto relu = find_op<Pool<TensorPair>>("voxpool::_max_pool3d_relu_taps");
  return (a.relu ? relu : plain).call(input, a.kernel_size, a.stride, a.padding, a.dilation, a.ceil_mode);
}

Tensor max_pool3d_backward(const Tensor& grad_output, const Tensor& taps, SymIntArrayRef input_size,
                           const Arguments& a) {
  static const auto op = find_op<Tensor(const Tensor&, const Tensor&, SymIntArrayRef, IntArrayRef, IntArrayRef,
                                        IntArrayRef, IntArrayRef, bool)>("voxpool::_max_pool3d_backward");
  return op.call(grad_output, taps, input_size, a.kernel_size, a.stride, a.padding, a.dilation, a.ceil_mode);
}

Tensor max_pool3d_gather(const Tensor& input, const Tensor& taps, const Arguments& a) {
  static const auto op =
      find_op<Tensor(const Tensor&, const Tensor&, IntArrayRef, IntArrayRef, IntArrayRef, IntArrayRef, bool)>(
          "voxpool::_max_pool3d_gather");
  return op.call(input, taps, a.kernel_size, a.stride, a.padding, a.dilation, a.ceil_mode);
}

Tensor max_pool3d_indices(const Tensor& taps, SymIntArrayRef input_size, const Arguments& a) {
  static const auto op =
      find_op<Tensor(const Tensor&, SymIntArrayRef, IntArrayRef, IntArrayRef, IntArrayRef, IntArrayRef, bool)>(
          "voxpool::_max_pool3d_indices");
  return op.call(taps, input_size, a.kernel_size, a.stride, a.padding, a.dilation, a.ceil_mode);
}

}  // namespace voxpool::ops
