#include <ATen/ops/empty.h>
#include <torch/library.h>

#include <algorithm>

#include "cpu/unpool.h"
#include "ops/allocation.h"
#include "ops/parallel.h"
#include "ops/problems.h"
#include "ops/unpool_device.h"

namespace voxpool::ops {
namespace {

using at::Tensor;

constexpr const Variant<cpu::UnpoolTask>* unpool_variants[] = {&cpu::unpool};
constexpr const Variant<cpu::UnpoolSpans>* span_variants[] = {&cpu::unpool_spans};
constexpr const Variant<UnpoolGather>* gather_variants[] = {&cpu::unpool_gather};

// The first index that is no position, in torch's sentence; images are volumes of one plane here. The last one is not
// looked at: who changes indices meanwhile, so that none is wrong any more, still reads inside the tensor.
[[noreturn]] void throw_invalid_index(const Tensor& indices, int64_t volume, const Tensor& output) {
  const Tensor in_order = indices.contiguous();
  const int64_t* begin = in_order.const_data_ptr<int64_t>();
  const int64_t* found =
      std::find_if(begin, begin + in_order.numel() - 1, [&](int64_t index) { return index < -1 || index >= volume; });
  TORCH_CHECK(false, "Found an invalid max index: ", *found, " (output volumes are of size ", output.size(-3), "x",
              output.size(-2), "x", output.size(-1), ")");
}

struct Cpu {
  static Tensor empty(at::IntArrayRef sizes, at::MemoryFormat format, at::ScalarType type, at::Device) {
    return empty_cpu(sizes, type, format);
  }

  static void unpool(const Unpool& problem, const Tensor& input, const Tensor& indices, const Tensor& output) {
    const int64_t bytes = bytes_touched(input, output) + indices.numel() * indices.element_size();
    int32_t invalid = 0;
    cpu::UnpoolTask task{problem, nullptr, &invalid};
    Tensor spans;
    if (cpu::wants_spans(problem, threads_for(bytes))) {
      spans = at::empty({cpu::span_count(problem), 2}, at::kLong);
      cpu::IndexSpan* found = static_cast<cpu::IndexSpan*>(spans.mutable_data_ptr());
      run<cpu::UnpoolSpans>(span_variants, {problem, found, &invalid}, bytes);
      task.spans = found;
    }
    if (invalid == 0) run<cpu::UnpoolTask>(unpool_variants, task, bytes);
    if (invalid != 0) throw_invalid_index(indices, problem.volume, output);
  }

  static void gather(const UnpoolGather& problem, const Tensor& output) {
    run<UnpoolGather>(gather_variants, problem, output.numel() * (2 * output.element_size() + 8));
  }
};

}  // namespace

TORCH_LIBRARY_IMPL(voxpool, CPU, m) { UnpoolOps<Cpu>::register_all(m); }

}  // namespace voxpool::ops
