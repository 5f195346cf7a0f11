#pragma once

#include <algorithm>
#include <numeric>
#include <random>
#include <vector>

#include "cpu/unpool.h"

// Runs the CPU kernels of unpooling, the work cut for any number of threads.
namespace voxpool::testing {

// Runs all units, in an order that depends on the seed.
template <class Problem>
void run_all(const Variant<Problem>& variant, const Problem& problem, int64_t threads, uint32_t seed) {
  const Plan plan = variant.plan(problem, threads);
  std::vector<int64_t> units(static_cast<size_t>(plan.units));
  std::iota(units.begin(), units.end(), 0);
  std::mt19937 random(seed);
  std::shuffle(units.begin(), units.end(), random);
  for (const int64_t unit : units) variant.run(problem, plan, unit, unit + 1);
}

// Whether an index was invalid.
inline int32_t unpool(const Unpool& problem, int64_t threads, uint32_t seed, bool spans_beforehand) {
  int32_t invalid = 0;
  std::vector<cpu::IndexSpan> spans;
  if (spans_beforehand) {
    spans.resize(static_cast<size_t>(cpu::span_count(problem)));
    run_all<cpu::UnpoolSpans>(cpu::unpool_spans, {problem, spans.data(), &invalid}, threads, seed);
  }
  run_all<cpu::UnpoolTask>(cpu::unpool, {problem, spans_beforehand ? spans.data() : nullptr, &invalid}, threads, seed);
  return invalid;
}

}  // namespace voxpool::testing
