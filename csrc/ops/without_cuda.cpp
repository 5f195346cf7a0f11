#include <ATen/core/stack.h>
#include <c10/util/Exception.h>
#include <torch/library.h>

#include "ops/cuda_kernels.h"

namespace voxpool::ops {

bool has_cuda_kernels() { return false; }

Refusals cuda_refusals(const Forward&) { return {}; }
Refusals cuda_refusals(const Backward&) { return {}; }
Refusals cuda_refusals(const TapIndices&) { return {}; }

namespace {

// Otherwise torch would list every backend the op has kernels for, and not say how to get this one.
void refuse(const c10::OperatorHandle& op, torch::jit::Stack*) {
  TORCH_CHECK_NOT_IMPLEMENTED(false, op.schema().name(),
                              ": this voxpool was built without CUDA; build it where nvcc is on PATH, with "
                              "VOXPOOL_CUDA=ON to be told what is missing");
}

}  // namespace
}  // namespace voxpool::ops

TORCH_LIBRARY_IMPL(voxpool, CUDA, m) {
  for (const char* op :
       {"max_pool3d", "_max_pool3d_relu", "max_pool3d_with_indices", "_max_pool3d_taps", "_max_pool3d_relu_taps",
        "_max_pool3d_backward", "_max_pool3d_gather", "_max_pool3d_indices", "_max_unpool3d", "_max_unpool3d_gather"}) {
    m.impl(op, torch::CppFunction::makeFromBoxedFunction<&voxpool::ops::refuse>());
  }
}
