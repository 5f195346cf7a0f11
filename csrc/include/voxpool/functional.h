#pragma once

#include <torch/nn/functional/pooling.h>
#include <voxpool/ops.h>

#include <optional>
#include <vector>

// torch::nn::functional's max-pooling and max-unpooling functions with the same options.
namespace voxpool::nn::functional {

using torch::nn::functional::MaxPool1dFuncOptions;
using torch::nn::functional::MaxPool2dFuncOptions;
using torch::nn::functional::MaxPool3dFuncOptions;
using torch::nn::functional::MaxUnpool1dFuncOptions;
using torch::nn::functional::MaxUnpool2dFuncOptions;
using torch::nn::functional::MaxUnpool3dFuncOptions;

inline at::Tensor max_pool3d(const at::Tensor& input, const MaxPool3dFuncOptions& options) {
  return voxpool::max_pool3d(input, options.kernel_size(), options.stride(), options.padding(), options.dilation(),
                             options.ceil_mode());
}

inline TensorAndIndices max_pool3d_with_indices(const at::Tensor& input, const MaxPool3dFuncOptions& options) {
  return voxpool::max_pool3d_with_indices(input, options.kernel_size(), options.stride(), options.padding(),
                                          options.dilation(), options.ceil_mode());
}

inline at::Tensor max_pool2d(const at::Tensor& input, const MaxPool2dFuncOptions& options) {
  return voxpool::max_pool2d(input, options.kernel_size(), options.stride(), options.padding(), options.dilation(),
                             options.ceil_mode());
}

inline TensorAndIndices max_pool2d_with_indices(const at::Tensor& input, const MaxPool2dFuncOptions& options) {
  return voxpool::max_pool2d_with_indices(input, options.kernel_size(), options.stride(), options.padding(),
                                          options.dilation(), options.ceil_mode());
}

inline at::Tensor max_pool1d(const at::Tensor& input, const MaxPool1dFuncOptions& options) {
  return voxpool::max_pool1d(input, options.kernel_size(), options.stride(), options.padding(), options.dilation(),
                             options.ceil_mode());
}

inline TensorAndIndices max_pool1d_with_indices(const at::Tensor& input, const MaxPool1dFuncOptions& options) {
  return voxpool::max_pool1d_with_indices(input, options.kernel_size(), options.stride(), options.padding(),
                                          options.dilation(), options.ceil_mode());
}

namespace detail {

inline at::IntArrayRef sizes(const std::optional<std::vector<int64_t>>& sizes) {
  return sizes ? at::IntArrayRef(*sizes) : at::IntArrayRef();
}

}  // namespace detail

inline at::Tensor max_unpool3d(const at::Tensor& input, const at::Tensor& indices,
                               const MaxUnpool3dFuncOptions& options) {
  return voxpool::max_unpool3d(input, indices, options.kernel_size(), options.stride(), options.padding(),
                               detail::sizes(options.output_size()));
}

inline at::Tensor max_unpool2d(const at::Tensor& input, const at::Tensor& indices,
                               const MaxUnpool2dFuncOptions& options) {
  return voxpool::max_unpool2d(input, indices, options.kernel_size(), options.stride(), options.padding(),
                               detail::sizes(options.output_size()));
}

inline at::Tensor max_unpool1d(const at::Tensor& input, const at::Tensor& indices,
                               const MaxUnpool1dFuncOptions& options) {
  return voxpool::max_unpool1d(input, indices, options.kernel_size(), options.stride(), options.padding(),
                               detail::sizes(options.output_size()));
}

}  // namespace voxpool::nn::functional
