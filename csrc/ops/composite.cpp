#include <ATen/core/Tensor.h>
#include <torch/library.h>

#include "ops/checks.h"
#include "ops/operators.h"

// Pooling over one and two axes as pooling over three, and padding by name as padding by numbers. Views only, so these
// need no derivatives, batching rules or fake kernels of their own.
namespace voxpool::ops {
namespace {

using at::IntArrayRef;
using at::Tensor;
using c10::SymInt;
using TensorPair = std::tuple<Tensor, Tensor>;
using Values = c10::SmallVector<int64_t, 6>;

// The arguments of a pooling over fewer axes with a window of one along the leading axes.
class LiftedArguments {
 public:
  LiftedArguments(const Arguments& given, int spatial_dims) : ceil_mode_(given.ceil_mode) {
    const Window window = parse_window(given, spatial_dims);
    const bool pairs = window.padding_rule == PaddingRule::pairs;
    for (const WindowAxis& axis : window.axes) {
      kernel_size_.push_back(axis.kernel);
      stride_.push_back(axis.stride);
      padding_.push_back(axis.pad_begin);
      if (pairs) padding_.push_back(axis.pad_end);
      dilation_.push_back(axis.dilation);
    }
  }

  Arguments get() const { return {kernel_size_, stride_, padding_, dilation_, ceil_mode_}; }

 private:
  Values kernel_size_, stride_, padding_, dilation_;
  bool ceil_mode_;
};

// All errors are raised here, in the words of the op that was called.
void check(const Tensor& input, const Arguments& arguments, int spatial_dims) {
  if (spatial_dims == 1) check_rank(input.sym_sizes(), spatial_dims);
  pooled_sizes<SymInt>(input.sym_sizes(), parse_window(arguments, spatial_dims));
  scalar_type(input, spatial_dims == 1 ? "max_pool1d" : "max_pool2d");
}

// Where the axes of length one go decides the strides of the result, which are torch's: an unbatched result is
// contiguous, so the channels become the batch of volumes with one channel; a batched one follows the input.
std::array<int64_t, 3> new_axes(const Tensor& input, int spatial_dims) {
  const bool batched = input.dim() == spatial_dims + 2;
  return batched ? std::array<int64_t, 3>{2, 2, 2} : std::array<int64_t, 3>{1, 1, 1};
}

// Inserts, one after the other, axes of length one until the tensor has five.
Tensor to_volume(const Tensor& input, IntArrayRef axes) {
  Tensor volume = input;
  for (const int64_t axis : axes) volume = volume.unsqueeze(axis);
  return volume;
}

Tensor from_volume(const Tensor& volume, IntArrayRef axes) {
  Tensor result = volume;
  for (size_t i = axes.size(); i-- > 0;) result = result.squeeze(axes[i]);
  return result;
}

// Whether torch's max_pool1d takes the route that keeps the memory format of a (N, C, L) input.
bool follows_input_format(const Tensor& input) {
  return (input.requires_grad() && at::GradMode::is_enabled()) || input._fw_grad(0).defined();
}

template <int spatial_dims>
Tensor max_pool(const Tensor& input, IntArrayRef kernel_size, IntArrayRef stride, IntArrayRef padding,
                IntArrayRef dilation, bool ceil_mode) {
  const Arguments arguments{kernel_size, stride, padding, dilation, ceil_mode};
  check(input, arguments, spatial_dims);
  const LiftedArguments lifted(arguments, spatial_dims);
  const auto missing = static_cast<size_t>(5 - input.dim());
  if (spatial_dims == 1 && input.dim() == 3 && !follows_input_format(input)) {
    // (N, 1, C, 1, L) has no channels that could come last.
    const int64_t axes[] = {1, 3};
    return from_volume(max_pool3d(to_volume(input, axes), lifted.get()), axes);
  }
  const auto axes = new_axes(input, spatial_dims);
  const IntArrayRef inserted(axes.data(), missing);
  return from_volume(max_pool3d(to_volume(input, inserted), lifted.get()), inserted);
}

template <int spatial_dims>
TensorPair max_pool_with_indices(const Tensor& input, IntArrayRef kernel_size, IntArrayRef stride, IntArrayRef padding,
                                 IntArrayRef dilation, bool ceil_mode) {
  const Arguments arguments{kernel_size, stride, padding, dilation, ceil_mode};
  check(input, arguments, spatial_dims);
  const LiftedArguments lifted(arguments, spatial_dims);
  const auto axes = new_axes(input, spatial_dims);
  const IntArrayRef inserted(axes.data(), static_cast<size_t>(5 - input.dim()));
  const auto [output, indices] = max_pool3d_with_indices(to_volume(input, inserted), lifted.get());
  return {from_volume(output, inserted), from_volume(indices, inserted)};
}

// Calls `pool` with the numbers a padding stands for. A symbolic size gets a guard on the numbers, not on itself.
template <int spatial_dims, class Pool>
auto with_named_padding(const Tensor& input, const Arguments& arguments, std::string_view name, Pool&& pool) {
  Values pads;
  for (const SymInt& pad : named_padding<SymInt>(name, arguments, input.sym_sizes(), spatial_dims)) {
    pads.push_back(pad.guard_int(__FILE__, __LINE__));
  }
  return pool(Arguments{arguments.kernel_size, arguments.stride, pads, arguments.dilation, arguments.ceil_mode});
}

template <int spatial_dims>
Tensor max_pool_named(const Tensor& input, IntArrayRef kernel_size, IntArrayRef stride, std::string_view padding,
                      IntArrayRef dilation, bool ceil_mode) {
  return with_named_padding<spatial_dims>(
      input, {kernel_size, stride, {}, dilation, ceil_mode}, padding, [&](const Arguments& a) {
        if constexpr (spatial_dims == 3) {
          return max_pool3d(input, a);
        } else {
          return max_pool<spatial_dims>(input, a.kernel_size, a.stride, a.padding, a.dilation, a.ceil_mode);
        }
      });
}

template <int spatial_dims>
TensorPair max_pool_with_indices_named(const Tensor& input, IntArrayRef kernel_size, IntArrayRef stride,
                                       std::string_view padding, IntArrayRef dilation, bool ceil_mode) {
  return with_named_padding<spatial_dims>(input, {kernel_size, stride, {}, dilation, ceil_mode}, padding,
                                          [&](const Arguments& a) {
                                            if constexpr (spatial_dims == 3) {
                                              return max_pool3d_with_indices(input, a);
                                            } else {
                                              return max_pool_with_indices<spatial_dims>(
                                                  input, a.kernel_size, a.stride, a.padding, a.dilation, a.ceil_mode);
                                            }
                                          });
}

}  // namespace

TORCH_LIBRARY_IMPL(voxpool, CompositeImplicitAutograd, m) {
  m.impl("max_pool2d", max_pool<2>);
  m.impl("max_pool1d", max_pool<1>);
  m.impl("max_pool2d_with_indices", max_pool_with_indices<2>);
  m.impl("max_pool1d_with_indices", max_pool_with_indices<1>);
  m.impl("max_pool3d.padding", max_pool_named<3>);
  m.impl("max_pool2d.padding", max_pool_named<2>);
  m.impl("max_pool1d.padding", max_pool_named<1>);
  m.impl("max_pool3d_with_indices.padding", max_pool_with_indices_named<3>);
  m.impl("max_pool2d_with_indices.padding", max_pool_with_indices_named<2>);
  m.impl("max_pool1d_with_indices.padding", max_pool_with_indices_named<1>);
}

}  // namespace voxpool::ops
