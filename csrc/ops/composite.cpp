#include <ATen/core/Tensor.h>
#include <torch/library.h>

#include "ops/checks.h"
#include "ops/operators.h"

// Pooling over one and two axes as pooling over three, and padding by name as padding by numbers. All by operators that
// torch can differentiate and trace, so these need no derivatives or fake kernels of their own.
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
  LiftedArguments(const Window& window, bool relu) : ceil_mode_(window.ceil_mode), relu_(relu) {
    const bool pairs = window.padding_rule == PaddingRule::pairs;
    for (const WindowAxis& axis : window.axes) {
      kernel_size_.push_back(axis.kernel);
      stride_.push_back(axis.stride);
      padding_.push_back(axis.pad_begin);
      if (pairs) padding_.push_back(axis.pad_end);
      dilation_.push_back(axis.dilation);
    }
  }

  Arguments get() const { return {kernel_size_, stride_, padding_, dilation_, ceil_mode_, relu_}; }

 private:
  Values kernel_size_, stride_, padding_, dilation_;
  bool ceil_mode_, relu_;
};

// The window of a call over one or two axes. All errors are raised here, in the words of the op that was called.
Window checked_window(const Tensor& input, const Arguments& arguments, int spatial_dims) {
  if (spatial_dims == 1) check_rank(input.sym_sizes(), spatial_dims);
  const Window window = parse_window(arguments, spatial_dims);
  pooled_sizes<SymInt>(input.sym_sizes(), window);
  scalar_type(input, spatial_dims == 1 ? "max_pool1d" : "max_pool2d");
  return window;
}

// Where the axes of length one go decides the strides of the result, which are torch's: an unbatched result is
// contiguous, so the channels become the batch of volumes with one channel; a batched one follows the input.
Values new_axes(const Tensor& input, int spatial_dims) {
  const bool batched = input.dim() == spatial_dims + 2;
  return Values(static_cast<size_t>(5 - input.dim()), batched ? 2 : 1);
}

// Inserts, one after the other, axes of length one until the tensor has five.
Tensor to_volume(const Tensor& input, IntArrayRef axes) {
  Tensor volume = input;
  for (const int64_t axis : axes) volume = volume.unsqueeze(axis);
  return volume;
}

// Removes them again. Nobody else has the volume, so the result is no view of it: torch refuses to detach a view in
// place, and to change one in place that was made without gradients.
Tensor from_volume(const Tensor& volume, IntArrayRef axes) {
  const c10::impl::ExcludeDispatchKeyGuard no_views(at::DispatchKey::ADInplaceOrView);
  Tensor result = volume;
  for (size_t i = axes.size(); i-- > 0;) result = result.squeeze(axes[i]);
  return result;
}

// Whether torch's max_pool1d takes the route that keeps the memory format of a (N, C, L) input: its own kernel for it
// is for the CPU, and without derivatives.
bool follows_input_format(const Tensor& input) {
  const bool differentiated = (input.requires_grad() && at::GradMode::is_enabled()) || input._fw_grad(0).defined();
  return differentiated || !(input.is_cpu() || input.is_meta());
}

template <int spatial_dims>
Tensor pool(const Tensor& input, const Arguments& arguments) {
  if constexpr (spatial_dims == 3) {
    return max_pool3d(input, arguments);
  } else {
    const LiftedArguments lifted(checked_window(input, arguments, spatial_dims), arguments.relu);
    if (spatial_dims == 1 && input.dim() == 3 && !follows_input_format(input)) {
      // (N, 1, C, 1, L) has no channels that could come last.
      const int64_t axes[] = {1, 3};
      return from_volume(max_pool3d(to_volume(input, axes), lifted.get()), axes);
    }
    const Values axes = new_axes(input, spatial_dims);
    return from_volume(max_pool3d(to_volume(input, axes), lifted.get()), axes);
  }
}

template <int spatial_dims>
TensorPair pool_with_indices(const Tensor& input, const Arguments& arguments) {
  if constexpr (spatial_dims == 3) {
    return max_pool3d_with_indices(input, arguments);
  } else {
    const LiftedArguments lifted(checked_window(input, arguments, spatial_dims), /*relu=*/false);
    const Values axes = new_axes(input, spatial_dims);
    const auto [output, indices] = max_pool3d_with_indices(to_volume(input, axes), lifted.get());
    return {from_volume(output, axes), from_volume(indices, axes)};
  }
}

// The numbers that a padding by name stands for. A symbolic size gets a guard on the numbers, not on itself.
Values numbers(std::string_view padding, const Tensor& input, const Arguments& arguments, int spatial_dims) {
  Values pads;
  for (const SymInt& pad : named_padding<SymInt>(padding, arguments, input.sym_sizes(), spatial_dims)) {
    pads.push_back(pad.guard_int(__FILE__, __LINE__));
  }
  return pads;
}

template <int spatial_dims, bool relu = false>
Tensor max_pool(const Tensor& input, IntArrayRef kernel_size, IntArrayRef stride, IntArrayRef padding,
                IntArrayRef dilation, bool ceil_mode) {
  return pool<spatial_dims>(input, {kernel_size, stride, padding, dilation, ceil_mode, relu});
}

template <int spatial_dims>
TensorPair max_pool_with_indices(const Tensor& input, IntArrayRef kernel_size, IntArrayRef stride, IntArrayRef padding,
                                 IntArrayRef dilation, bool ceil_mode) {
  return pool_with_indices<spatial_dims>(input, {kernel_size, stride, padding, dilation, ceil_mode});
}

template <int spatial_dims, bool relu = false>
Tensor max_pool_named(const Tensor& input, IntArrayRef kernel_size, IntArrayRef stride, std::string_view padding,
                      IntArrayRef dilation, bool ceil_mode) {
  const Values pads = numbers(padding, input, {kernel_size, stride, {}, dilation, ceil_mode}, spatial_dims);
  return pool<spatial_dims>(input, {kernel_size, stride, pads, dilation, ceil_mode, relu});
}

template <int spatial_dims>
TensorPair max_pool_with_indices_named(const Tensor& input, IntArrayRef kernel_size, IntArrayRef stride,
                                       std::string_view padding, IntArrayRef dilation, bool ceil_mode) {
  const Values pads = numbers(padding, input, {kernel_size, stride, {}, dilation, ceil_mode}, spatial_dims);
  return pool_with_indices<spatial_dims>(input, {kernel_size, stride, pads, dilation, ceil_mode});
}

void register_all(torch::Library& m) {
  m.impl("max_pool2d", max_pool<2>);
  m.impl("max_pool1d", max_pool<1>);
  m.impl("_max_pool2d_relu", max_pool<2, true>);
  m.impl("_max_pool1d_relu", max_pool<1, true>);
  m.impl("max_pool2d_with_indices", max_pool_with_indices<2>);
  m.impl("max_pool1d_with_indices", max_pool_with_indices<1>);
  m.impl("max_pool3d.padding", max_pool_named<3>);
  m.impl("max_pool2d.padding", max_pool_named<2>);
  m.impl("max_pool1d.padding", max_pool_named<1>);
  m.impl("_max_pool3d_relu.padding", max_pool_named<3, true>);
  m.impl("_max_pool2d_relu.padding", max_pool_named<2, true>);
  m.impl("_max_pool1d_relu.padding", max_pool_named<1, true>);
  m.impl("max_pool3d_with_indices.padding", max_pool_with_indices_named<3>);
  m.impl("max_pool2d_with_indices.padding", max_pool_with_indices_named<2>);
  m.impl("max_pool1d_with_indices.padding", max_pool_with_indices_named<1>);
}

}  // namespace

TORCH_LIBRARY_IMPL(voxpool, CompositeImplicitAutograd, m) { register_all(m); }

// vmap does not look at the key above: without this it would call these once for every sample.
TORCH_LIBRARY_IMPL(voxpool, FuncTorchBatchedDecomposition, m) { register_all(m); }

}  // namespace voxpool::ops
