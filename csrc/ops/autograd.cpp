#include <ATen/core/Tensor.h>
#include <ATen/core/VariableHooksInterface.h>
#include <torch/csrc/autograd/saved_variable.h>
#include <torch/library.h>

#include "ops/node.h"
#include "ops/operators.h"

// Derivatives. Pooling is a choice of elements, the taps: along a tangent it gathers them (max_pool3d_gather), and its
// transpose brings gradients back to them (max_pool3d_backward). Both are linear and each other's transpose, so two
// nodes cover all orders of differentiation.
//
// torch::autograd::Function would be shorter, but torch.func and forward-mode differentiation do not pass through it.
// Nodes by hand, in the way of torch's own generated code, do.
namespace voxpool::ops {
namespace {

using at::IntArrayRef;
using at::Tensor;
using c10::SymIntArrayRef;
using torch::autograd::Node;
using torch::autograd::SavedVariable;
using torch::autograd::variable_list;
using TensorPair = std::tuple<Tensor, Tensor>;

class OwnedArguments {
 public:
  explicit OwnedArguments(const Arguments& a)
      : kernel_size_(a.kernel_size),
        stride_(a.stride),
        padding_(a.padding),
        dilation_(a.dilation),
        ceil_mode_(a.ceil_mode) {}

  Arguments get() const { return {kernel_size_, stride_, padding_, dilation_, ceil_mode_}; }

 private:
  c10::SmallVector<int64_t, 3> kernel_size_, stride_, padding_, dilation_;
  bool ceil_mode_;
};

// What both nodes keep: one tap per output, never a tensor of the input's size.
class TapsNode : public Node {
 public:
  void remember(const Tensor& taps, const Arguments& arguments) {
    taps_ = SavedVariable(taps, /*is_output=*/false);
    arguments_.emplace(arguments);
  }

  variable_list apply(variable_list&& gradients) override {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (!gradients[0].defined() || !task_should_compute_output(0)) return {Tensor()};
    return {derivative(gradients[0], taps_.unpack(), arguments_->get())};
  }

  void release_variables() override {
    const std::lock_guard<std::mutex> lock(mutex_);
    taps_.reset_data();
  }

 private:
  virtual Tensor derivative(const Tensor& gradient, const Tensor& taps, const Arguments& arguments) = 0;

  SavedVariable taps_;
  std::optional<OwnedArguments> arguments_;
};

class MaxPool3dBackward final : public TapsNode {
 public:
  explicit MaxPool3dBackward(SymIntArrayRef input_size) : input_size_(input_size.begin(), input_size.end()) {}
  std::string name() const override { return "VoxpoolMaxPool3dBackward"; }

 private:
  Tensor derivative(const Tensor& gradient, const Tensor& taps, const Arguments& arguments) override {
    return max_pool3d_backward(gradient, taps, input_size_, arguments);
  }

  Sizes<c10::SymInt> input_size_;
};

class MaxPool3dBackwardBackward final : public TapsNode {
 public:
  std::string name() const override { return "VoxpoolMaxPool3dBackwardBackward"; }

 private:
  Tensor derivative(const Tensor& gradient, const Tensor& taps, const Arguments& arguments) override {
    return max_pool3d_gather(gradient, taps, arguments);
  }
};

template <class AnyNode, class... Args>
NodePointer node_for(const Tensor& input, const Tensor& taps, const Arguments& arguments, Args&&... args) {
  auto node = make_node<AnyNode>(std::forward<Args>(args)...);
  node->set_next_edges(torch::autograd::collect_next_edges(input));
  node->remember(taps, arguments);
  return node;
}

// Makes `output` the elements of `input` at `taps` for both modes of differentiation.
void link_gathered(const Tensor& output, const Tensor& input, const Tensor& taps, const Arguments& arguments) {
  if (torch::autograd::compute_requires_grad(input)) {
    set_history(output, node_for<MaxPool3dBackward>(input, taps, arguments, input.sym_sizes()));
  }
  if (torch::autograd::isFwGradDefined(input)) {
    output._set_fw_grad(max_pool3d_gather(input._fw_grad(0), taps, arguments), 0, /*is_inplace_op=*/false);
  }
}

TensorPair forward_with_taps(const Tensor& input, const Arguments& arguments) {
  const auto [output, taps] = [&] {
    const at::AutoDispatchBelowADInplaceOrView below;
    return max_pool3d_taps(input, arguments);
  }();
  link_gathered(output, input, taps, arguments);
  return {output, taps};
}

template <bool relu>
Tensor max_pool3d_autograd(const Tensor& input, IntArrayRef kernel_size, IntArrayRef stride, IntArrayRef padding,
                           IntArrayRef dilation, bool ceil_mode) {
  const Arguments arguments{kernel_size, stride, padding, dilation, ceil_mode, relu};
  if (is_differentiated(input)) return std::get<0>(forward_with_taps(input, arguments));
  const at::AutoDispatchBelowADInplaceOrView below;
  return max_pool3d(input, arguments);
}

TensorPair max_pool3d_with_indices_autograd(const Tensor& input, IntArrayRef kernel_size, IntArrayRef stride,
                                            IntArrayRef padding, IntArrayRef dilation, bool ceil_mode) {
  const Arguments arguments{kernel_size, stride, padding, dilation, ceil_mode};
  const bool differentiated = is_differentiated(input);
  if (!differentiated) {
    const at::AutoDispatchBelowADInplaceOrView below;
    return max_pool3d_with_indices(input, arguments);
  }
  // The gradient follows the taps: whoever changes the indices does not change it.
  const auto [output, taps] = forward_with_taps(input, arguments);
  const at::AutoDispatchBelowADInplaceOrView below;
  return {output, max_pool3d_indices(taps, input.sym_sizes(), arguments)};
}

template <bool relu>
TensorPair max_pool3d_taps_autograd(const Tensor& input, IntArrayRef kernel_size, IntArrayRef stride,
                                    IntArrayRef padding, IntArrayRef dilation, bool ceil_mode) {
  return forward_with_taps(input, {kernel_size, stride, padding, dilation, ceil_mode, relu});
}

Tensor max_pool3d_backward_autograd(const Tensor& grad_output, const Tensor& taps, SymIntArrayRef input_size,
                                    IntArrayRef kernel_size, IntArrayRef stride, IntArrayRef padding,
                                    IntArrayRef dilation, bool ceil_mode) {
  const Arguments arguments{kernel_size, stride, padding, dilation, ceil_mode};
  const Tensor grad_input = [&] {
    const at::AutoDispatchBelowADInplaceOrView below;
    return max_pool3d_backward(grad_output, taps, input_size, arguments);
  }();
  if (torch::autograd::compute_requires_grad(grad_output)) {
    set_history(grad_input, node_for<MaxPool3dBackwardBackward>(grad_output, taps, arguments));
  }
  if (torch::autograd::isFwGradDefined(grad_output)) {
    grad_input._set_fw_grad(max_pool3d_backward(grad_output._fw_grad(0), taps, input_size, arguments), 0,
                            /*is_inplace_op=*/false);
  }
  return grad_input;
}

Tensor max_pool3d_gather_autograd(const Tensor& input, const Tensor& taps, IntArrayRef kernel_size, IntArrayRef stride,
                                  IntArrayRef padding, IntArrayRef dilation, bool ceil_mode) {
  const Arguments arguments{kernel_size, stride, padding, dilation, ceil_mode};
  const Tensor output = [&] {
    const at::AutoDispatchBelowADInplaceOrView below;
    return max_pool3d_gather(input, taps, arguments);
  }();
  link_gathered(output, input, taps, arguments);
  return output;
}

}  // namespace

TORCH_LIBRARY_IMPL(voxpool, Autograd, m) {
  m.impl("max_pool3d", max_pool3d_autograd<false>);
  m.impl("_max_pool3d_relu", max_pool3d_autograd<true>);
  m.impl("max_pool3d_with_indices", max_pool3d_with_indices_autograd);
  m.impl("_max_pool3d_taps", max_pool3d_taps_autograd<false>);
  m.impl("_max_pool3d_relu_taps", max_pool3d_taps_autograd<true>);
  m.impl("_max_pool3d_backward", max_pool3d_backward_autograd);
  m.impl("_max_pool3d_gather", max_pool3d_gather_autograd);
  m.impl("_max_pool3d_indices", torch::CppFunction::makeFallthrough());
}

}  // namespace voxpool::ops
