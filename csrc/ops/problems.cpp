#include "ops/problems.h"

#include "ops/checks.h"
#include "ops/layout.h"

namespace voxpool::ops {
namespace {

const void* address(const at::Tensor& tensor) { return tensor.is_meta() ? nullptr : tensor.const_data_ptr(); }

void* mutable_address(const at::Tensor& tensor) {
  return !tensor.defined() || tensor.is_meta() ? nullptr : tensor.mutable_data_ptr();
}

}  // namespace

Forward forward_problem(const Pooling& pooling, const at::Tensor& input, const at::Tensor& output,
                        const at::Tensor& taps, const at::Tensor& indices) {
  return {
      .geometry = pooling.geometry,
      .dtype = scalar_type(input, "max_pool3d"),
      .code = pooling.code,
      .input = address(input),
      .input_strides = kernel_strides(input),
      .output = mutable_address(output),
      .taps = mutable_address(taps),
      .indices = static_cast<int64_t*>(mutable_address(indices)),
      .output_strides = kernel_strides(output),
  };
}

Backward backward_problem(const Pooling& pooling, const at::Tensor& grad_output, const at::Tensor& taps,
                          const at::Tensor& grad_input) {
  return {
      .geometry = pooling.geometry,
      .dtype = scalar_type(grad_output, "max_pool3d_backward"),
      .code = pooling.code,
      .grad_output = address(grad_output),
      .taps = address(taps),
      .output_strides = kernel_strides(taps),
      .grad_input = mutable_address(grad_input),
      .input_strides = kernel_strides(grad_input),
  };
}

int64_t bytes_touched(const at::Tensor& a, const at::Tensor& b) {
  return a.numel() * a.element_size() + b.numel() * b.element_size();
}

}  // namespace voxpool::ops
