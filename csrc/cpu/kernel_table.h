#pragma once

#include <span>

#include "core/problem.h"
#include "core/variant.h"
#include "cpu/capability.h"

namespace voxpool::cpu {

// Every CPU kernel compiled for one instruction set, best first. The last entry of each list runs any problem.
struct KernelTable {
  std::span<const Variant<Forward>> forward;
  std::span<const Variant<Backward>> backward;
  std::span<const Variant<Gather>> gather;
  std::span<const Variant<TapIndices>> tap_indices;
};

// The table of a capability this build and this processor have; see available_capabilities().
const KernelTable& kernel_table(Capability capability);

// The first variant of a list that can run the problem.
template <class Problem>
const Variant<Problem>& select(std::span<const Variant<Problem>> variants, const Problem& problem) {
  for (const Variant<Problem>& variant : variants.first(variants.size() - 1)) {
    if (variant.refusal(problem) == nullptr) return variant;
  }
  return variants.back();
}

}  // namespace voxpool::cpu
