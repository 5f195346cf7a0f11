#pragma once

#include <ATen/core/Tensor.h>
#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/functions/utils.h>

#include <type_traits>
#include <utility>

// What every op with a derivative needs from torch::autograd.
namespace voxpool::ops {

inline bool is_differentiated(const at::Tensor& tensor) {
  return torch::autograd::compute_requires_grad(tensor) || torch::autograd::isFwGradDefined(tensor);
}

// std::shared_ptr in torch 2.11, c10::intrusive_ptr in later versions.
using NodePointer = decltype(torch::autograd::Edge::function);

template <class AnyNode, class... Args>
auto make_node(Args&&... args) {
  using torch::autograd::Node;
  if constexpr (std::is_same_v<NodePointer, std::shared_ptr<Node>>) {
    // Not the default deleter: it would recurse through a long graph. torch::autograd's is found by its argument, as
    // the later versions have none that could be named.
    return std::shared_ptr<AnyNode>(new AnyNode(std::forward<Args>(args)...), [](AnyNode* node) { deleteNode(node); });
  } else {
    return c10::make_intrusive<AnyNode>(std::forward<Args>(args)...);
  }
}

}  // namespace voxpool::ops
