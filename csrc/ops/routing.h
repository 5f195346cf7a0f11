#pragma once

#include <ATen/core/Tensor.h>
#include <voxpool/routing.h>

// What stands behind voxpool::enable(): see <voxpool/routing.h>.
namespace voxpool::ops {

// Enters kernels for torch's max-pooling operators into the dispatcher, on the first call. They go by is_enabled().
void override_aten();

// Whether a tensor of a Python class with __torch_dispatch__ only stands for a plain one. torch.compile shows plain
// tensors in that way while it traces; to every other class torch's operators mean something of its own.
using TensorPredicate = bool (*)(const at::Tensor&);

// The predicate of this process. A program without Python has no such tensors and sets none.
VOXPOOL_API void set_stands_for_plain(TensorPredicate predicate);
bool stands_for_plain(const at::Tensor& tensor);

}  // namespace voxpool::ops
