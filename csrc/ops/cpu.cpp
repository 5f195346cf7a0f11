#include "cpu/streaming.h"
#include "ops/allocation.h"
#include "ops/device_ops.h"
#include "ops/parallel.h"

namespace voxpool::ops {
namespace {

struct Cpu {
  static at::Tensor empty(at::IntArrayRef sizes, at::MemoryFormat format, at::ScalarType type, at::Device) {
    return empty_cpu(sizes, type, format);
  }

  template <class Problem>
  static void run(Problem problem, int64_t bytes, at::Device) {
    if constexpr (requires { problem.stream; }) problem.stream = cpu::worth_streaming(problem, bytes);
    ops::run(cpu::kernel_table(cpu::capability()).of(problem), problem, bytes);
  }
};

}  // namespace

TORCH_LIBRARY_IMPL(voxpool, CPU, m) { DeviceOps<Cpu>::register_all(m); }

}  // namespace voxpool::ops
