#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <random>
#include <vector>

#include "cpu/unpool.h"
#include "guarded_buffer.h"

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

inline GuardedBuffer room_for_spans(const Unpool& problem, uint32_t seed) {
  return {static_cast<size_t>(cpu::span_count(problem)) * sizeof(cpu::IndexSpan), flush_of(seed, 3)};
}

// Whether an index was invalid.
inline int32_t unpool(const Unpool& problem, int64_t threads, uint32_t seed, bool spans_beforehand) {
  int32_t invalid = 0;
  GuardedBuffer room = room_for_spans(problem, seed);
  cpu::IndexSpan* const spans = spans_beforehand ? room.as<cpu::IndexSpan>() : nullptr;
  if (spans_beforehand) run_all<cpu::UnpoolSpans>(cpu::unpool_spans, {problem, spans, &invalid}, threads, seed);
  run_all<cpu::UnpoolTask>(cpu::unpool, {problem, spans, &invalid}, threads, seed);
  EXPECT_TRUE(room.canaries_alive());
  return invalid;
}

}  // namespace voxpool::testing
