#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/ops/empty_strided.h>
#include <torch/library.h>

#include "ops/checks.h"
#include "ops/layout.h"
#include "ops/problems.h"

// The ops on a device that has kernels: what to compute goes into a problem of core/, which the device runs. A device
// is
//   static at::Tensor empty(sizes, format, type, device);   an uninitialised dense tensor
//   static void run(problem, bytes, device);                bytes: what the problem reads and writes
namespace voxpool::ops {

template <class Device>
class DeviceOps {
  using IntArrayRef = at::IntArrayRef;
  using Tensor = at::Tensor;
  using TensorPair = std::tuple<Tensor, Tensor>;

 public:
  static void register_all(torch::Library& m) {
    m.impl("max_pool3d", max_pool3d<false>);
    m.impl("_max_pool3d_relu", max_pool3d<true>);
    m.impl("max_pool3d_with_indices", max_pool3d_with_indices);
    m.impl("_max_pool3d_taps", max_pool3d_taps<false>);
    m.impl("_max_pool3d_relu_taps", max_pool3d_taps<true>);
    m.impl("_max_pool3d_backward", max_pool3d_backward);
    m.impl("_max_pool3d_gather", max_pool3d_gather);
    m.impl("_max_pool3d_indices", max_pool3d_indices);
  }

 private:
  enum class Keep { values, taps, indices };

  struct ForwardResult {
    Tensor output;
    Tensor taps;
    Tensor indices;
  };

  static ForwardResult forward(const Tensor& input, const Arguments& arguments, Keep keep) {
    const Pooling pooling = parse_pooling(input.sizes(), arguments);
    scalar_type(input, "max_pool3d");
    check_memory(input, "input", "max_pool3d");
    const auto empty = [&, format = output_format(input)](at::ScalarType type) {
      return Device::empty(pooling.output_sizes, format, type, input.device());
    };

    ForwardResult result{empty(input.scalar_type()), {}, {}};
    if (keep == Keep::taps) result.taps = empty(torch_type(pooling.code.type));
    if (keep == Keep::indices) result.indices = empty(at::kLong);
    if (pooling.geometry.batch == 0) return result;

    Forward problem = forward_problem(pooling, input, result.output, result.taps, result.indices);
    problem.relu = arguments.relu;
    Device::run(problem, bytes_touched(input, result.output), input.device());
    return result;
  }

  template <bool relu>
  static Tensor max_pool3d(const Tensor& input, IntArrayRef kernel_size, IntArrayRef stride, IntArrayRef padding,
                           IntArrayRef dilation, bool ceil_mode) {
    return forward(input, {kernel_size, stride, padding, dilation, ceil_mode, relu}, Keep::values).output;
  }

  static TensorPair max_pool3d_with_indices(const Tensor& input, IntArrayRef kernel_size, IntArrayRef stride,
                                            IntArrayRef padding, IntArrayRef dilation, bool ceil_mode) {
    ForwardResult result = forward(input, {kernel_size, stride, padding, dilation, ceil_mode}, Keep::indices);
    return {std::move(result.output), std::move(result.indices)};
  }

  template <bool relu>
  static TensorPair max_pool3d_taps(const Tensor& input, IntArrayRef kernel_size, IntArrayRef stride,
                                    IntArrayRef padding, IntArrayRef dilation, bool ceil_mode) {
    ForwardResult result = forward(input, {kernel_size, stride, padding, dilation, ceil_mode, relu}, Keep::taps);
    return {std::move(result.output), std::move(result.taps)};
  }

  // Taps of our own making are dense; a slice or an expanded view of some is copied.
  static Tensor dense(const Tensor& taps, const char* op) {
    check_memory(taps, "taps", op);
    return taps.is_non_overlapping_and_dense() ? taps : taps.contiguous();
  }

  static Tensor with_layout_of(const Tensor& taps, const Tensor& grad_output) {
    if (same_layout(grad_output, taps)) return grad_output;
    return at::empty_strided(taps.sizes(), taps.strides(), grad_output.options()).copy_(grad_output);
  }

  static Tensor max_pool3d_backward(const Tensor& grad_output, const Tensor& any_taps, IntArrayRef input_size,
                                    IntArrayRef kernel_size, IntArrayRef stride, IntArrayRef padding,
                                    IntArrayRef dilation, bool ceil_mode) {
    const Pooling pooling = parse_pooling(input_size, {kernel_size, stride, padding, dilation, ceil_mode});
    check_backward<int64_t>(grad_output, any_taps, input_size, pooling.output_sizes, pooling.code.type);
    check_memory(grad_output, "grad_output", "_max_pool3d_backward");

    const Tensor grad_input =
        Device::empty(input_size, input_gradient_format(any_taps), grad_output.scalar_type(), grad_output.device());
    if (pooling.geometry.batch == 0) return grad_input;
    const Tensor taps = dense(any_taps, "_max_pool3d_backward");
    const Tensor gradient = with_layout_of(taps, grad_output);
    Device::run(backward_problem(pooling, gradient, taps, grad_input), bytes_touched(gradient, grad_input),
                taps.device());
    return grad_input;
  }

  static Tensor max_pool3d_gather(const Tensor& input, const Tensor& any_taps, IntArrayRef kernel_size,
                                  IntArrayRef stride, IntArrayRef padding, IntArrayRef dilation, bool ceil_mode) {
    const Pooling pooling = parse_pooling(input.sizes(), {kernel_size, stride, padding, dilation, ceil_mode});
    check_gather<int64_t>(input, any_taps, pooling.output_sizes, pooling.code.type);
    check_memory(input, "input", "_max_pool3d_gather");

    const Tensor taps = dense(any_taps, "_max_pool3d_gather");
    const Tensor output = at::empty_strided(taps.sizes(), taps.strides(), input.options());
    if (pooling.geometry.batch == 0) return output;
    const Gather problem{
        .geometry = pooling.geometry,
        .dtype = scalar_type(input, "_max_pool3d_gather"),
        .code = pooling.code,
        .input = input.const_data_ptr(),
        .input_strides = kernel_strides(input),
        .taps = taps.const_data_ptr(),
        .output = output.mutable_data_ptr(),
        .output_strides = kernel_strides(taps),
    };
    Device::run(problem, 2 * bytes_touched(output, taps), taps.device());
    return output;
  }

  static Tensor max_pool3d_indices(const Tensor& any_taps, IntArrayRef input_size, IntArrayRef kernel_size,
                                   IntArrayRef stride, IntArrayRef padding, IntArrayRef dilation, bool ceil_mode) {
    const Pooling pooling = parse_pooling(input_size, {kernel_size, stride, padding, dilation, ceil_mode});
    check_indices<int64_t>(any_taps, input_size, pooling.output_sizes, pooling.code.type);

    const Tensor taps = dense(any_taps, "_max_pool3d_indices");
    const Tensor indices = at::empty_strided(taps.sizes(), taps.strides(), taps.options().dtype(at::kLong));
    if (pooling.geometry.batch == 0) return indices;
    const TapIndices problem{
        .geometry = pooling.geometry,
        .code = pooling.code,
        .taps = taps.const_data_ptr(),
        .indices = indices.mutable_data_ptr<int64_t>(),
        .output_strides = kernel_strides(taps),
    };
    Device::run(problem, bytes_touched(indices, taps), taps.device());
    return indices;
  }
};

}  // namespace voxpool::ops
