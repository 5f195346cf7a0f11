#pragma once

#include <span>

#include "core/problem.h"
#include "cuda/queue.h"

namespace voxpool::cuda {

// One implementation of a problem on the device.
template <class Problem>
struct Kernel {
  const char* name;
  // The reason why this kernel cannot run the problem, or null when it can.
  const char* (*refusal)(const Problem&);
  // Puts the work into the queue and returns. The problem's pointers are device addresses; it has at least one output.
  void (*launch)(const Problem&, const Queue&);
};

// Best first; the last one runs any problem.
template <class Problem>
using KernelList = std::span<const Kernel<Problem>>;

struct KernelTable {
  KernelList<Forward> forward;
  KernelList<Backward> backward;
  KernelList<Gather> gather;
  KernelList<TapIndices> tap_indices;

  // The list for a problem.
  KernelList<Forward> of(const Forward&) const { return forward; }
  KernelList<Backward> of(const Backward&) const { return backward; }
  KernelList<Gather> of(const Gather&) const { return gather; }
  KernelList<TapIndices> of(const TapIndices&) const { return tap_indices; }
};

const KernelTable& kernel_table();

// The first kernel of a list that can run the problem.
template <class Problem>
const Kernel<Problem>& select(KernelList<Problem> kernels, const Problem& problem) {
  for (const Kernel<Problem>& kernel : kernels) {
    if (kernel.refusal(problem) == nullptr) return kernel;
  }
  return kernels.back();
}

}  // namespace voxpool::cuda
