#pragma once

#include <span>

#include "core/problem.h"
#include "core/variant.h"
#include "cpu/capability.h"

namespace voxpool::cpu {

// Variants, best first; the last one runs any problem.
template <class Problem>
using VariantList = std::span<const Variant<Problem>* const>;

// Every CPU kernel compiled for one instruction set.
struct KernelTable {
  VariantList<Forward> forward;
  VariantList<Backward> backward;
  VariantList<Gather> gather;
  VariantList<TapIndices> tap_indices;

  // The list for a problem.
  VariantList<Forward> of(const Forward&) const { return forward; }
  VariantList<Backward> of(const Backward&) const { return backward; }
  VariantList<Gather> of(const Gather&) const { return gather; }
  VariantList<TapIndices> of(const TapIndices&) const { return tap_indices; }
};

// The table of one of available_capabilities().
const KernelTable& kernel_table(Capability capability);

// The first variant of a list that can run the problem.
template <class Problem>
const Variant<Problem>& select(VariantList<Problem> variants, const Problem& problem) {
  for (const Variant<Problem>* variant : variants) {
    if (variant->refusal(problem) == nullptr) return *variant;
  }
  return *variants.back();
}

}  // namespace voxpool::cpu
