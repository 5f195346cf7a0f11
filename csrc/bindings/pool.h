#pragma once

#include <ATen/core/Tensor.h>
#include <voxpool/ops.h>

#include <string>
#include <tuple>
#include <variant>
#include <vector>

namespace voxpool::bindings {

// Padding as Python gives it: numbers, or 'valid' or 'same'.
using Padding = std::variant<std::vector<int64_t>, std::string>;

// A pooling whose arguments were converted from Python once. Calls go through the dispatcher, so autograd, tracing and
// every mode see them.
class Pool {
 public:
  Pool(std::vector<int64_t> kernel_size, std::vector<int64_t> stride, Padding padding, std::vector<int64_t> dilation,
       bool ceil_mode, int spatial_dims);

  at::Tensor values(const at::Tensor& input) const;
  std::tuple<at::Tensor, at::Tensor> with_indices(const at::Tensor& input) const;

 private:
  template <class F>
  auto call(const at::Tensor& input, F&& pool) const;

  std::vector<int64_t> kernel_size_, stride_, dilation_;
  std::variant<std::vector<int64_t>, PaddingMode> padding_;
  bool ceil_mode_;
  int spatial_dims_;
};

}  // namespace voxpool::bindings
