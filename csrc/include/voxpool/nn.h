#pragma once

#include <torch/nn/cloneable.h>
#include <torch/nn/modules/common.h>
#include <torch/nn/options/pooling.h>
#include <torch/nn/pimpl.h>
#include <voxpool/ops.h>

#include <optional>
#include <ostream>
#include <vector>

// Modules with the interface of torch::nn::MaxPool1d/2d/3d and MaxUnpool1d/2d/3d and the same options; they have no
// parameters.
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

// forward gives the maxima; forward_with_indices also their positions, for MaxUnpool below. See <voxpool/ops.h>
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

// The way back, with the options of torch::nn::MaxUnpool1d/2d/3d; `output_size` picks one of the sizes that a pooling
// makes equal. See <voxpool/ops.h>.
template <size_t D, class Derived>
class MaxUnpoolImpl : public torch::nn::Cloneable<Derived> {
 public:
  MaxUnpoolImpl(torch::ExpandingArray<D> kernel_size)  // NOLINT: implicit, as in torch
      : MaxUnpoolImpl(torch::nn::MaxUnpoolOptions<D>(kernel_size)) {}
  explicit MaxUnpoolImpl(const torch::nn::MaxUnpoolOptions<D>& options) : options(options) {}

  void reset() override {}

  void pretty_print(std::ostream& stream) const override {
    stream << "voxpool::nn::MaxUnpool" << D << "d(kernel_size=" << options.kernel_size()
           << ", stride=" << options.stride() << ", padding=" << options.padding() << ')';
  }

  at::Tensor forward(const at::Tensor& input, const at::Tensor& indices,
                     const std::optional<std::vector<int64_t>>& output_size = std::nullopt) {
    constexpr auto unpool = D == 3 ? voxpool::max_unpool3d : D == 2 ? voxpool::max_unpool2d : voxpool::max_unpool1d;
    return unpool(input, indices, options.kernel_size(), options.stride(), options.padding(),
                  output_size ? at::IntArrayRef(*output_size) : at::IntArrayRef());
  }

  torch::nn::MaxUnpoolOptions<D> options;

 protected:
  FORWARD_HAS_DEFAULT_ARGS({2, torch::nn::AnyValue(std::optional<std::vector<int64_t>>())})
};

class MaxUnpool3dImpl : public MaxUnpoolImpl<3, MaxUnpool3dImpl> {
 public:
  using MaxUnpoolImpl<3, MaxUnpool3dImpl>::MaxUnpoolImpl;
};
TORCH_MODULE(MaxUnpool3d);

class MaxUnpool2dImpl : public MaxUnpoolImpl<2, MaxUnpool2dImpl> {
 public:
  using MaxUnpoolImpl<2, MaxUnpool2dImpl>::MaxUnpoolImpl;
};
TORCH_MODULE(MaxUnpool2d);

class MaxUnpool1dImpl : public MaxUnpoolImpl<1, MaxUnpool1dImpl> {
 public:
  using MaxUnpoolImpl<1, MaxUnpool1dImpl>::MaxUnpoolImpl;
};
TORCH_MODULE(MaxUnpool1d);

}  // namespace voxpool::nn
