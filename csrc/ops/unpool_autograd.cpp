#include <ATen/core/Tensor.h>
#include <ATen/ops/zeros.h>
#include <torch/csrc/autograd/saved_variable.h>
#include <torch/library.h>

#include "ops/node.h"
#include "ops/unpool.h"

// Derivatives of unpooling and of its gather; both are linear. The gradient of unpooling is torch's: an element whose
// place another one took gets the gradient of the place as well. That makes the two transposes of each other only where
// no index occurs twice; the gradient of the gather is its own transpose, a sum.
namespace voxpool::ops {
namespace {

using at::Tensor;
using c10::SymInt;
using c10::SymIntArrayRef;
using torch::autograd::SavedVariable;
using torch::autograd::variable_list;

class IndicesNode : public torch::autograd::Node {
 public:
  void remember(const Tensor& indices) { indices_ = SavedVariable(indices, /*is_output=*/false); }

  variable_list apply(variable_list&& gradients) override {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (!gradients[0].defined() || !task_should_compute_output(0)) return {Tensor()};
    return {derivative(gradients[0], indices_.unpack())};
  }

  void release_variables() override {
    const std::lock_guard<std::mutex> lock(mutex_);
    indices_.reset_data();
  }

 private:
  virtual Tensor derivative(const Tensor& gradient, const Tensor& indices) = 0;

  SavedVariable indices_;
};

class MaxUnpool3dBackward final : public IndicesNode {
 public:
  std::string name() const override { return "VoxpoolMaxUnpool3dBackward"; }

 private:
  Tensor derivative(const Tensor& gradient, const Tensor& indices) override {
    return max_unpool3d_gather(gradient, indices);
  }
};

class MaxUnpool3dBackwardBackward final : public IndicesNode {
 public:
  explicit MaxUnpool3dBackwardBackward(SymIntArrayRef source_size)
      : source_size_(source_size.begin(), source_size.end()) {}
  std::string name() const override { return "VoxpoolMaxUnpool3dBackwardBackward"; }

 private:
  // By torch's operators: they have derivatives of their own, and nobody differentiates twice in a hurry. The engine
  // sees to the shape of a gradient; who calls the node by hand is told here, as scatter_add takes any that is larger.
  Tensor derivative(const Tensor& gradient, const Tensor& indices) override {
    TORCH_CHECK(gradient.sym_sizes() == indices.sym_sizes(), name(), ": expected a gradient of shape ",
                indices.sym_sizes(), ", but got ", gradient.sym_sizes());
    Sizes<SymInt> flat(source_size_.begin(), source_size_.end() - 3);
    flat.push_back(source_size_.end()[-3] * source_size_.end()[-2] * source_size_.end()[-1]);
    const Tensor sum = at::zeros_symint(flat, gradient.options());
    if (sum.sym_numel() == 0) return sum.view_symint(source_size_);
    const Tensor index = indices.flatten(-3);
    const Tensor outside = index.lt(0).logical_or(index.ge(at::scalar_tensor(flat.back(), index.options())));
    return sum.scatter_add(-1, index.masked_fill(outside, 0), gradient.flatten(-3).masked_fill(outside, 0))
        .view_symint(source_size_);
  }

  Sizes<SymInt> source_size_;
};

template <class AnyNode, class... Args>
void link(const Tensor& output, const Tensor& input, const Tensor& indices, Args&&... args) {
  auto node = make_node<AnyNode>(std::forward<Args>(args)...);
  node->set_next_edges(torch::autograd::collect_next_edges(input));
  node->remember(indices);
  set_history(output, NodePointer(std::move(node)));
}

Tensor max_unpool3d_autograd(const Tensor& input, const Tensor& indices, SymIntArrayRef output_size,
                             bool channels_last) {
  const Tensor output = [&] {
    const at::AutoDispatchBelowADInplaceOrView below;
    return max_unpool3d(input, indices, output_size, channels_last);
  }();
  if (torch::autograd::compute_requires_grad(input)) link<MaxUnpool3dBackward>(output, input, indices);
  if (torch::autograd::isFwGradDefined(input)) {
    output._set_fw_grad(max_unpool3d(input._fw_grad(0), indices, output_size, channels_last), 0,
                        /*is_inplace_op=*/false);
  }
  return output;
}

Tensor max_unpool3d_gather_autograd(const Tensor& source, const Tensor& indices) {
  const Tensor output = [&] {
    const at::AutoDispatchBelowADInplaceOrView below;
    return max_unpool3d_gather(source, indices);
  }();
  if (torch::autograd::compute_requires_grad(source)) {
    link<MaxUnpool3dBackwardBackward>(output, source, indices, source.sym_sizes());
  }
  if (torch::autograd::isFwGradDefined(source)) {
    output._set_fw_grad(max_unpool3d_gather(source._fw_grad(0), indices), 0, /*is_inplace_op=*/false);
  }
  return output;
}

}  // namespace

TORCH_LIBRARY_IMPL(voxpool, Autograd, m) {
  m.impl("_max_unpool3d", max_unpool3d_autograd);
  m.impl("_max_unpool3d_gather", max_unpool3d_gather_autograd);
}

}  // namespace voxpool::ops
