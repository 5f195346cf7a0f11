#include "bindings/pool.h"

#include <c10/util/Exception.h>
#include <voxpool/ops.h>

namespace voxpool::bindings {

Pool::Pool(std::vector<int64_t> kernel_size, std::vector<int64_t> stride, Padding padding,
           std::vector<int64_t> dilation, bool ceil_mode, int spatial_dims)
    : kernel_size_(std::move(kernel_size)),
      stride_(std::move(stride)),
      dilation_(std::move(dilation)),
      ceil_mode_(ceil_mode),
      spatial_dims_(spatial_dims) {
  TORCH_CHECK(spatial_dims >= 1 && spatial_dims <= 3, "Pool: expected spatial_dims 1, 2 or 3, but got ", spatial_dims);
  if (auto* name = std::get_if<std::string>(&padding)) {
    padding_ = PaddingMode(*name);
  } else {
    padding_ = std::get<std::vector<int64_t>>(std::move(padding));
  }
}

// One overload set per number of axes, called with whichever padding there is. Qualified names: argument-dependent
// lookup would find torch's functions as well.
template <class F>
auto Pool::call(const at::Tensor& input, F&& pool) const {
  return std::visit(
      [&](const auto& padding) { return pool(input, kernel_size_, stride_, padding, dilation_, ceil_mode_); },
      padding_);
}

at::Tensor Pool::values(const at::Tensor& input) const {
  switch (spatial_dims_) {
    case 1:
      return call(input, [](const auto&... arguments) { return voxpool::max_pool1d(arguments...); });
    case 2:
      return call(input, [](const auto&... arguments) { return voxpool::max_pool2d(arguments...); });
    default:
      return call(input, [](const auto&... arguments) { return voxpool::max_pool3d(arguments...); });
  }
}

std::tuple<at::Tensor, at::Tensor> Pool::with_indices(const at::Tensor& input) const {
  switch (spatial_dims_) {
    case 1:
      return call(input, [](const auto&... arguments) { return voxpool::max_pool1d_with_indices(arguments...); });
    case 2:
      return call(input, [](const auto&... arguments) { return voxpool::max_pool2d_with_indices(arguments...); });
    default:
      return call(input, [](const auto&... arguments) { return voxpool::max_pool3d_with_indices(arguments...); });
  }
}

}  // namespace voxpool::bindings
