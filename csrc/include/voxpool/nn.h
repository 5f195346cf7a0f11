#pragma once

#include <torch/nn/cloneable.h>
#include <torch/nn/options/pooling.h>
#include <torch/nn/pimpl.h>
#include <voxpool/ops.h>

#include <optional>
#include <ostream>

// Modules with the interface of torch::nn::MaxPool1d/2d/3d and the same options; they have no parameters.
//
//   voxpool::nn::MaxPool3d pool(torch::nn::MaxPool3dOptions(3).stride(2).padding(1));
//   voxpool::nn::MaxPool3d same(torch::nn::MaxPool3dOptions(2), "same");
namespace voxpool::nn {

template <size_t D, class Derived>
class MaxPoolImpl : public torch::nn::Cloneable<Derived> {
 public:
  MaxPoolImpl(torch::ExpandingArray<D> kernel_size)  // NOLINT: implicit, as in torch
      : MaxPoolImpl(torch::nn::MaxPoolOptions<D>(kernel_size)) {}
  explicit MaxPoolImpl(const torch::nn::MaxPoolOptions<D>& options) : options(options) {}

  // Padding by name, which the options cannot say; it takes the place of options.padding().
  MaxPoolImpl(const torch::nn::MaxPoolOptions<D>& options, const PaddingMode& padding)
      : options(options), padding_mode(padding) {}

  void reset() override {}

  void pretty_print(std::ostream& stream) const override {
    stream << "voxpool::nn::MaxPool" << D << "d(kernel_size=" << options.kernel_size()
           << ", stride=" << options.stride() << ", padding=";
    if (padding_mode) {
      stream << padding_mode->name();
    } else {
      stream << options.padding();
    }
    stream << ", dilation=" << options.dilation() << ", ceil_mode=" << options.ceil_mode() << ')';
  }

  torch::nn::MaxPoolOptions<D> options;
  std::optional<PaddingMode> padding_mode;

 protected:
  // Calls `pool` with the options as they stand now.
  template <class Pool>
  auto apply(const at::Tensor& input, Pool&& pool) const {
    const auto& o = options;
    return padding_mode
               ? pool(input, o.kernel_size(), o.stride(), *padding_mode, o.dilation(), o.ceil_mode())
               : pool(input, o.kernel_size(), o.stride(), at::IntArrayRef(o.padding()), o.dilation(), o.ceil_mode());
  }
};

// forward gives the maxima; forward_with_indices also their positions, for torch::nn::MaxUnpool. See <voxpool/ops.h>
// for shapes, dtypes and errors.
class MaxPool3dImpl : public MaxPoolImpl<3, MaxPool3dImpl> {
 public:
  using MaxPoolImpl<3, MaxPool3dImpl>::MaxPoolImpl;

  at::Tensor forward(const at::Tensor& input) {
    return apply(input, [](const auto&... arguments) { return voxpool::max_pool3d(arguments...); });
  }
  TensorAndIndices forward_with_indices(const at::Tensor& input) {
    return apply(input, [](const auto&... arguments) { return voxpool::max_pool3d_with_indices(arguments...); });
  }
};
TORCH_MODULE(MaxPool3d);

class MaxPool2dImpl : public MaxPoolImpl<2, MaxPool2dImpl> {
 public:
  using MaxPoolImpl<2, MaxPool2dImpl>::MaxPoolImpl;

  at::Tensor forward(const at::Tensor& input) {
    return apply(input, [](const auto&... arguments) { return voxpool::max_pool2d(arguments...); });
  }
  TensorAndIndices forward_with_indices(const at::Tensor& input) {
    return apply(input, [](const auto&... arguments) { return voxpool::max_pool2d_with_indices(arguments...); });
  }
};
TORCH_MODULE(MaxPool2d);

class MaxPool1dImpl : public MaxPoolImpl<1, MaxPool1dImpl> {
 public:
  using MaxPoolImpl<1, MaxPool1dImpl>::MaxPoolImpl;

  at::Tensor forward(const at::Tensor& input) {
    return apply(input, [](const auto&... arguments) { return voxpool::max_pool1d(arguments...); });
  }
  TensorAndIndices forward_with_indices(const at::Tensor& input) {
    return apply(input, [](const auto&... arguments) { return voxpool::max_pool1d_with_indices(arguments...); });
  }
};
TORCH_MODULE(MaxPool1d);

}  // namespace voxpool::nn
