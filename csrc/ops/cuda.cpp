#include <ATen/ops/empty_strided.h>
#include <c10/core/DeviceGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include "cuda/device.h"
#include "cuda/kernel_table.h"
#include "ops/cuda_kernels.h"
#include "ops/device_ops.h"

namespace voxpool::ops {
namespace {

// Device and stream through c10's interface for all devices, so that this source needs no header of CUDA and the
// library does not have to be linked to libc10_cuda.
struct Cuda {
  static at::Tensor empty(at::IntArrayRef sizes, at::MemoryFormat format, at::ScalarType type, at::Device device) {
    return at::empty_strided(sizes, dense_strides<int64_t>(sizes, format), at::device(device).dtype(type));
  }

  // Puts the work on the device's current stream and does not wait for it.
  template <class Problem>
  static void run(const Problem& problem, int64_t, at::Device device) {
    const c10::DeviceGuard guard(device);
    const c10::Stream stream = c10::impl::VirtualGuardImpl(device.type()).getStream(device);
    const cuda::Queue queue{stream.native_handle(), cuda::multiprocessors(device.index())};
    cuda::select(cuda::kernel_table().of(problem), problem).launch(problem, queue);
  }
};

template <class Problem>
Refusals refusals(const Problem& problem) {
  Refusals all;
  for (const cuda::Kernel<Problem>& kernel : cuda::kernel_table().of(problem)) {
    all.emplace_back(kernel.name, kernel.refusal(problem));
  }
  return all;
}

}  // namespace

bool has_cuda_kernels() { return true; }

Refusals cuda_refusals(const Forward& problem) { return refusals(problem); }
Refusals cuda_refusals(const Backward& problem) { return refusals(problem); }
Refusals cuda_refusals(const TapIndices& problem) { return refusals(problem); }

TORCH_LIBRARY_IMPL(voxpool, CUDA, m) { DeviceOps<Cuda>::register_all(m); }

}  // namespace voxpool::ops
