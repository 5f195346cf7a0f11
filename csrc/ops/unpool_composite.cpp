#include <ATen/core/Tensor.h>
#include <torch/library.h>

#include <sstream>
#include <utility>

#include "ops/checks.h"
#include "ops/unpool.h"

// Unpooling with the arguments of torch.nn.functional: sizes of the output from those of the window, and one or two
// axes as three. By operators that torch can differentiate and trace.
namespace voxpool::ops {
namespace {

using at::IntArrayRef;
using at::OptionalIntArrayRef;
using at::Tensor;
using c10::SymInt;
using c10::SymIntArrayRef;
using OptionalSizes = at::OptionalSymIntArrayRef;

// One value of an argument for each axis.
c10::SmallVector<int64_t, 3> spread(const char* name, IntArrayRef values, int spatial_dims) {
  const size_t axes = static_cast<size_t>(spatial_dims);
  TORCH_CHECK(values.size() == 1 || values.size() == axes, "max_unpool", spatial_dims, "d: expected one value or ",
              axes, " in ", name, ", but got ", values.size(), " elements.");
  return values.size() == axes ? c10::SmallVector<int64_t, 3>(values.begin(), values.end())
                               : c10::SmallVector<int64_t, 3>(axes, values[0]);
}

// (in - 1) * stride + kernel - 2 * padding
SymInt default_length(const SymInt& in, int64_t kernel, int64_t stride, int64_t padding) {
  if (const auto length = in.maybe_as_int()) {
    int64_t steps, pads, result;
    const bool overflow =
        __builtin_mul_overflow(*length - 1, stride, &steps) || __builtin_mul_overflow(padding, int64_t{-2}, &pads) ||
        __builtin_add_overflow(steps, kernel, &result) || __builtin_add_overflow(result, pads, &result);
    TORCH_CHECK(!overflow, "max_unpool: integer out of range: the size of the output for kernel_size=", kernel,
                ", stride=", stride, " and padding=", padding);
    return result;
  }
  return (in - 1) * stride + kernel - 2 * padding;
}

// The lengths a stride below and a stride above, between which those lie that pool to the same.
std::pair<SymInt, SymInt> bounds(const SymInt& length, int64_t stride) {
  if (const auto number = length.maybe_as_int()) {
    int64_t least, most;
    const bool overflow =
        __builtin_sub_overflow(*number, stride, &least) || __builtin_add_overflow(*number, stride, &most);
    TORCH_CHECK(!overflow, "max_unpool: integer out of range: a stride of ", stride, " beside an output of ", *number);
    return {least, most};
  }
  return {length - stride, length + stride};
}

std::string as_tuple(SymIntArrayRef sizes) {
  std::ostringstream text;
  for (size_t i = 0; i < sizes.size(); ++i) text << (i == 0 ? "(" : ", ") << sizes[i];
  text << (sizes.size() == 1 ? ",)" : ")");
  return text.str();
}

// Lengths of the result along the axes that were pooled: the given ones, which have to be less than a stride away from
// what the window gives, or those.
Sizes<SymInt> output_lengths(const Tensor& input, IntArrayRef kernel_size, OptionalIntArrayRef given_stride,
                             IntArrayRef given_padding, OptionalSizes output_size, int spatial_dims) {
  const size_t axes = static_cast<size_t>(spatial_dims);
  const bool has_stride = given_stride.has_value() && !given_stride->empty();
  const auto kernel = spread("kernel_size", kernel_size, spatial_dims);
  const auto stride = spread("stride", has_stride ? *given_stride : kernel_size, spatial_dims);
  const auto padding = spread("padding", given_padding, spatial_dims);
  TORCH_CHECK(input.dim() >= spatial_dims, "Input to max_unpooling", spatial_dims, "d should be a ", axes + 1, "d or ",
              axes + 2, "d Tensor, but got a tensor with ", input.dim(), " dimensions.");

  Sizes<SymInt> lengths;
  for (size_t i = 0; i < axes; ++i) {
    const SymInt in = input.sym_size(static_cast<int64_t>(i) - spatial_dims);
    lengths.push_back(default_length(in, kernel[i], stride[i], padding[i]));
  }
  if (output_size.has_value()) {
    const SymIntArrayRef all = *output_size;
    const SymIntArrayRef given = all.size() == axes + 2 ? all.slice(2) : all;
    TORCH_CHECK_VALUE(given.size() == axes, "output_size should be a sequence containing ", axes, " or ", axes + 2,
                      " elements, but it has a length of '", given.size(), "'");
    for (size_t i = 0; i < axes; ++i) {
      const auto [least, most] = bounds(lengths[i], stride[i]);
      TORCH_CHECK_VALUE(least < given[i] && given[i] < most, "invalid output_size \"", as_tuple(given), "\" (dim ", i,
                        " must be between ", least, " and ", most, ")");
      lengths[i] = given[i];
    }
  }
  for (const int64_t step : stride) {
    TORCH_CHECK(spatial_dims < 3 || step > 0,
                "strides should be greater than zero, but got stride: ", IntArrayRef(stride));
  }
  return lengths;
}

Tensor max_unpool3d_composite(const Tensor& input, const Tensor& indices, IntArrayRef kernel_size,
                              OptionalIntArrayRef stride, IntArrayRef padding, OptionalSizes output_size) {
  const Sizes<SymInt> lengths = output_lengths(input, kernel_size, stride, padding, output_size, 3);
  return max_unpool3d(input, indices, lengths, /*channels_last=*/false);
}

// Removes an axis that nobody else has seen, so that the result is no view: see composite.cpp.
Tensor without_axis(const Tensor& volume, int64_t axis) {
  const c10::impl::ExcludeDispatchKeyGuard no_views(at::DispatchKey::ADInplaceOrView);
  return volume.squeeze(axis);
}

// In two dimensions torch keeps the memory format of a batched input, in three it does not.
Tensor unpool_images(const Tensor& input, const Tensor& indices, SymIntArrayRef lengths) {
  check_unpool(input, indices, lengths, 2);
  const bool channels_last = input.dim() == 4 && input.suggest_memory_format() == at::MemoryFormat::ChannelsLast;
  const SymInt volume[] = {1, lengths[0], lengths[1]};
  return without_axis(max_unpool3d(input.unsqueeze(-3), indices.unsqueeze(-3), volume, channels_last), -3);
}

Tensor max_unpool2d_composite(const Tensor& input, const Tensor& indices, IntArrayRef kernel_size,
                              OptionalIntArrayRef stride, IntArrayRef padding, OptionalSizes output_size) {
  return unpool_images(input, indices, output_lengths(input, kernel_size, stride, padding, output_size, 2));
}

// torch's way as well: images of one column.
Tensor max_unpool1d_composite(const Tensor& input, const Tensor& indices, IntArrayRef kernel_size,
                              OptionalIntArrayRef stride, IntArrayRef padding, OptionalSizes output_size) {
  Sizes<SymInt> lengths = output_lengths(input, kernel_size, stride, padding, output_size, 1);
  lengths.emplace_back(1);
  return without_axis(unpool_images(input.unsqueeze(-1), indices.unsqueeze(-1), lengths), -1);
}

void register_all(torch::Library& m) {
  m.impl("max_unpool3d", max_unpool3d_composite);
  m.impl("max_unpool2d", max_unpool2d_composite);
  m.impl("max_unpool1d", max_unpool1d_composite);
}

}  // namespace

TORCH_LIBRARY_IMPL(voxpool, CompositeImplicitAutograd, m) { register_all(m); }

// vmap does not look at the key above: see composite.cpp.
TORCH_LIBRARY_IMPL(voxpool, FuncTorchBatchedDecomposition, m) { register_all(m); }

}  // namespace voxpool::ops
