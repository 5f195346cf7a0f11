#include <ATen/Context.h>
#include <ATen/ops/empty_strided.h>
#include <ATen/ops/full.h>
#include <c10/core/DeviceGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <torch/library.h>

#include "cuda/device.h"
#include "cuda/unpool.h"
#include "ops/unpool_device.h"

namespace voxpool::ops {
namespace {

using at::Tensor;

struct Cuda {
  static Tensor empty(at::IntArrayRef sizes, at::MemoryFormat format, at::ScalarType type, at::Device device) {
    return at::empty_strided(sizes, dense_strides<int64_t>(sizes, format), at::device(device).dtype(type));
  }

  // Threads write in whatever order they come. Where torch is asked for determinism, a maximum over positions settles
  // beforehand which element each place takes, at the cost of an int64 for each of them.
  static void unpool(const Unpool& p, const Tensor& input, const Tensor& /*indices*/, const Tensor& output) {
    const c10::DeviceGuard guard(output.device());
    if (!at::globalContext().deterministicAlgorithms()) {
      output.zero_();
      return launch(p, output);
    }
    const Lengths& lengths = p.lengths;
    const Tensor winners = at::full({lengths.n, lengths.c, p.volume}, -1, output.options().dtype(at::kLong));
    int64_t* const address = winners.mutable_data_ptr<int64_t>();
    launch(UnpoolWinners{lengths, p.volume, p.indices, p.index_strides, address}, output);

    const bool single_row = lengths.d == 1 && lengths.h == 1;
    const Tensor source = single_row ? input : input.contiguous();
    const Strides& s = p.input_strides;
    const int64_t positions = lengths.positions();
    const FlatStrides strides =
        single_row ? FlatStrides{s.n, s.c, s.w} : FlatStrides{lengths.c * positions, positions, 1};
    launch(gather_of_winners(p, address, source.const_data_ptr(), strides), output);
  }

  static void gather(const UnpoolGather& problem, const Tensor& output) {
    const c10::DeviceGuard guard(output.device());
    launch(problem, output);
  }

 private:
  // Puts the work on the device's current stream and does not wait for it.
  template <class Problem>
  static void launch(const Problem& problem, const Tensor& output) {
    const at::Device device = output.device();
    const c10::Stream stream = c10::impl::VirtualGuardImpl(device.type()).getStream(device);
    cuda::launch_unpool(problem, {stream.native_handle(), cuda::multiprocessors(device.index())});
  }
};

}  // namespace

TORCH_LIBRARY_IMPL(voxpool, CUDA, m) { UnpoolOps<Cuda>::register_all(m); }

}  // namespace voxpool::ops
