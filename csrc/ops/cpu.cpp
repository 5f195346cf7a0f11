#include <ATen/core/Tensor.h>
#include <ATen/ops/empty_strided.h>
#include <torch/library.h>

#include "cpu/kernel_table.h"
#include "ops/allocation.h"
#include "ops/checks.h"
#include "ops/layout.h"
#include "ops/parallel.h"
#include "ops/problems.h"

// The ops on CPU tensors: what to compute goes into a problem of core/, how into the kernel table of cpu/.
namespace voxpool::ops {
namespace {

using at::IntArrayRef;
using at::Tensor;
using TensorPair = std::tuple<Tensor, Tensor>;

const cpu::KernelTable& kernels() { return cpu::kernel_table(cpu::capability()); }

enum class Keep { values, taps, indices };

struct ForwardResult {
  Tensor output;
  Tensor taps;
  Tensor indices;
};

ForwardResult forward(const Tensor& input, const Arguments& arguments, Keep keep) {
  const Pooling pooling = parse_pooling(input.sizes(), arguments);
  scalar_type(input, "max_pool3d");
  const at::MemoryFormat format = output_format(input);

  ForwardResult result{empty_cpu(pooling.output_sizes, input.scalar_type(), format), {}, {}};
  if (keep == Keep::taps) result.taps = empty_cpu(pooling.output_sizes, torch_type(pooling.code.type), format);
  if (keep == Keep::indices) result.indices = empty_cpu(pooling.output_sizes, at::kLong, format);
  if (pooling.geometry.batch == 0) return result;

  Forward problem = forward_problem(pooling, input, result.output, result.taps, result.indices);
  problem.relu = arguments.relu;
  run(kernels().forward, problem, bytes_touched(input, result.output));
  return result;
}

template <bool relu>
Tensor max_pool3d(const Tensor& input, IntArrayRef kernel_size, IntArrayRef stride, IntArrayRef padding,
                  IntArrayRef dilation, bool ceil_mode) {
  return forward(input, {kernel_size, stride, padding, dilation, ceil_mode, relu}, Keep::values).output;
}

TensorPair max_pool3d_with_indices(const Tensor& input, IntArrayRef kernel_size, IntArrayRef stride,
                                   IntArrayRef padding, IntArrayRef dilation, bool ceil_mode) {
  ForwardResult result = forward(input, {kernel_size, stride, padding, dilation, ceil_mode}, Keep::indices);
  return {std::move(result.output), std::move(result.indices)};
}

template <bool relu>
TensorPair max_pool3d_taps(const Tensor& input, IntArrayRef kernel_size, IntArrayRef stride, IntArrayRef padding,
                           IntArrayRef dilation, bool ceil_mode) {
  ForwardResult result = forward(input, {kernel_size, stride, padding, dilation, ceil_mode, relu}, Keep::taps);
  return {std::move(result.output), std::move(result.taps)};
}

// Taps of our own making are dense; a slice or an expanded view of some is copied.
Tensor dense(const Tensor& taps) { return taps.is_non_overlapping_and_dense() ? taps : taps.contiguous(); }

Tensor with_layout_of(const Tensor& taps, const Tensor& grad_output) {
  if (same_layout(grad_output, taps)) return grad_output;
  return at::empty_strided(taps.sizes(), taps.strides(), grad_output.options()).copy_(grad_output);
}

Tensor max_pool3d_backward(const Tensor& grad_output, const Tensor& any_taps, IntArrayRef input_size,
                           IntArrayRef kernel_size, IntArrayRef stride, IntArrayRef padding, IntArrayRef dilation,
                           bool ceil_mode) {
  const Pooling pooling = parse_pooling(input_size, {kernel_size, stride, padding, dilation, ceil_mode});
  check_backward<int64_t>(grad_output, any_taps, input_size, pooling.output_sizes, pooling.code.type);

  const Tensor grad_input = empty_cpu(input_size, grad_output.scalar_type(), input_gradient_format(any_taps));
  if (pooling.geometry.batch == 0) return grad_input;
  const Tensor taps = dense(any_taps);
  const Tensor gradient = with_layout_of(taps, grad_output);
  run(kernels().backward, backward_problem(pooling, gradient, taps, grad_input), bytes_touched(gradient, grad_input));
  return grad_input;
}

Tensor max_pool3d_gather(const Tensor& input, const Tensor& any_taps, IntArrayRef kernel_size, IntArrayRef stride,
                         IntArrayRef padding, IntArrayRef dilation, bool ceil_mode) {
  const Pooling pooling = parse_pooling(input.sizes(), {kernel_size, stride, padding, dilation, ceil_mode});
  check_gather<int64_t>(input, any_taps, pooling.output_sizes, pooling.code.type);

  const Tensor taps = dense(any_taps);
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
  run(kernels().gather, problem, 2 * bytes_touched(output, taps));
  return output;
}

Tensor max_pool3d_indices(const Tensor& any_taps, IntArrayRef input_size, IntArrayRef kernel_size, IntArrayRef stride,
                          IntArrayRef padding, IntArrayRef dilation, bool ceil_mode) {
  const Pooling pooling = parse_pooling(input_size, {kernel_size, stride, padding, dilation, ceil_mode});
  check_indices<int64_t>(any_taps, input_size, pooling.output_sizes, pooling.code.type);

  const Tensor taps = dense(any_taps);
  const Tensor indices = at::empty_strided(taps.sizes(), taps.strides(), taps.options().dtype(at::kLong));
  if (pooling.geometry.batch == 0) return indices;
  const TapIndices problem{
      .geometry = pooling.geometry,
      .code = pooling.code,
      .taps = taps.const_data_ptr(),
      .indices = indices.mutable_data_ptr<int64_t>(),
      .output_strides = kernel_strides(taps),
  };
  run(kernels().tap_indices, problem, bytes_touched(indices, taps));
  return indices;
}

}  // namespace

TORCH_LIBRARY_IMPL(voxpool, CPU, m) {
  m.impl("max_pool3d", max_pool3d<false>);
  m.impl("_max_pool3d_relu", max_pool3d<true>);
  m.impl("max_pool3d_with_indices", max_pool3d_with_indices);
  m.impl("_max_pool3d_taps", max_pool3d_taps<false>);
  m.impl("_max_pool3d_relu_taps", max_pool3d_taps<true>);
  m.impl("_max_pool3d_backward", max_pool3d_backward);
  m.impl("_max_pool3d_gather", max_pool3d_gather);
  m.impl("_max_pool3d_indices", max_pool3d_indices);
}

}  // namespace voxpool::ops
