#pragma once

#include <voxpool/version.h>

// torch's own max-pooling on voxpool's kernels: a program that calls torch::nn::MaxPool3d, at::max_pool2d or a
// TorchScript model needs no other change than voxpool::enable().
//
// While routing is on, aten::max_pool1d, max_pool2d and max_pool3d of CPU tensors, and of CUDA tensors where the build
// has CUDA, are voxpool::max_pool1d, 2d and 3d: training keeps taps instead of the input and int64 indices.
// aten::max_pool2d_with_indices and max_pool3d_with_indices (and 1d, which is made of 2d) of CPU tensors run voxpool's
// kernel, and keep torch's derivative, which saves input and indices.
// Everything else goes to torch as before: other devices, quantised, MKL-DNN, sparse and nested tensors, dtypes without
// a kernel, named tensors, tensor subclasses and calls under a Python dispatch mode.
//
// The switch belongs to the process, not to a thread, and may be turned by any thread at any time; each call looks at
// it once. Routing is on after enable() until disable(), and while any EnabledGuard lives, whatever is called
// meanwhile. The first of all calls enters kernels into torch's dispatcher, which stay there and go by the switch;
// torch does not guard its table against calls of the same operators in other threads, so make that one while none is
// running. In a Python program turn the switch from Python, which also keeps the caches of torch.compile apart.
namespace voxpool {

VOXPOOL_API void enable();
VOXPOOL_API void disable();
VOXPOOL_API bool is_enabled();

// Keeps routing on as long as it lives. Guards nest, and end in any order and in any thread.
class VOXPOOL_API EnabledGuard {
 public:
  EnabledGuard();
  ~EnabledGuard();
  EnabledGuard(const EnabledGuard&) = delete;
  EnabledGuard& operator=(const EnabledGuard&) = delete;
};

}  // namespace voxpool
