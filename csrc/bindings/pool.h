#pragma once

#include <ATen/core/Tensor.h>

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "ops/dispatch.h"

namespace voxpool::bindings {

// Padding as Python gives it: numbers, or 'valid' or 'same'.
using Padding = std::variant<std::vector<int64_t>, std::string>;

// A pooling op with arguments that were converted from Python once. Calls go through the dispatcher, so autograd,
// tracing and every mode see them. `Result` is what the op returns: a tensor, or a tuple of two.
template <class Result>
class Pool {
 public:
  // Throws c10::Error if there is no such op with this result.
  Pool(const std::string& op, std::vector<int64_t> kernel_size, std::vector<int64_t> stride, Padding padding,
       std::vector<int64_t> dilation, bool ceil_mode)
      : kernel_size_(std::move(kernel_size)),
        stride_(std::move(stride)),
        padding_(std::move(padding)),
        dilation_(std::move(dilation)),
        ceil_mode_(ceil_mode) {
    if (std::holds_alternative<std::string>(padding_)) {
      named_op_ = ops::find_op<ops::NamedPool<Result>>(op.c_str(), "padding");
    } else {
      op_ = ops::find_op<ops::Pool<Result>>(op.c_str());
    }
  }

  Result operator()(const at::Tensor& input) const {
    if (const auto* name = std::get_if<std::string>(&padding_)) {
      return named_op_->call(input, kernel_size_, stride_, *name, dilation_, ceil_mode_);
    }
    return op_->call(input, kernel_size_, stride_, std::get<std::vector<int64_t>>(padding_), dilation_, ceil_mode_);
  }

 private:
  std::optional<c10::TypedOperatorHandle<ops::Pool<Result>>> op_;
  std::optional<c10::TypedOperatorHandle<ops::NamedPool<Result>>> named_op_;
  std::vector<int64_t> kernel_size_, stride_;
  Padding padding_;
  std::vector<int64_t> dilation_;
  bool ceil_mode_;
};

}  // namespace voxpool::bindings
