#pragma once

#include <ATen/Parallel.h>

#include "cpu/kernel_table.h"

namespace voxpool::ops {

// Below this many bytes, read and written, waking other threads takes longer than the work (about 5 us against 32 KiB
// at 10 GB/s).
inline constexpr int64_t single_thread_bytes = 32 * 1024;

inline int64_t threads_for(int64_t bytes) {
  return bytes < single_thread_bytes || at::in_parallel_region() ? 1 : at::get_num_threads();
}

// Runs a problem with the best variant of a list.
template <class Problem>
void run(cpu::VariantList<Problem> variants, const Problem& problem, int64_t bytes) {
  const Variant<Problem>& variant = cpu::select(variants, problem);
  const int64_t threads = threads_for(bytes);
  const Plan plan = variant.plan(problem, threads);
  if (threads == 1) return variant.run(problem, plan, 0, plan.units);
  at::parallel_for(0, plan.units, /*grain_size=*/1,
                   [&](int64_t begin, int64_t end) { variant.run(problem, plan, begin, end); });
}

}  // namespace voxpool::ops
