#include <gtest/gtest.h>

#include <algorithm>
#include <string_view>

#include "backward_check.h"
#include "cpu/kernel_table.h"
#include "cpu/tile_plan.h"

// Every backward kernel of every instruction set, and the gathers, against a scatter in ascending output order.
namespace voxpool::testing {
namespace {

// Every other time in small pieces: the cases are too small to be cut by themselves.
Plan plan_of(const Variant<Backward>& variant, const Backward& p, uint32_t seed) {
  if (seed % 2 == 1 && std::string_view(variant.name).starts_with("transposed")) {
    const int64_t bytes = static_cast<int64_t>(size_of(p.dtype));
    const Plan plan = cpu::plan_copies(p.geometry, cpu::Cut::inputs, bytes, 1 + seed % 3, int64_t{16} * 1024);
    if (plan.units > 0) return plan;
  }
  return variant.plan(p, 1 + seed % 3);
}

std::string label(const Variant<Backward>& variant, cpu::Capability capability) {
  return variant.name + (' ' + std::string(cpu::name_of(capability)));
}

std::vector<Runner<Backward>> runners(Counts* counts = nullptr) {
  std::vector<Runner<Backward>> all;
  for (const cpu::Capability capability : cpu::available_capabilities()) {
    for (const Variant<Backward>* variant : cpu::kernel_table(capability).backward) {
      const std::string name = label(*variant, capability);
      const auto run = [=](const Backward& p, uint32_t seed) {
        if (counts != nullptr) ++(*counts)[name + ' ' + name_of(p.dtype)];
        const Plan plan = plan_of(*variant, p, seed);
        for (int64_t end = plan.units; end > 0; end -= 3) variant->run(p, plan, std::max<int64_t>(end - 3, 0), end);
      };
      all.push_back({name, variant->refusal, run});
    }
  }
  return all;
}

// The gathers have one kernel for every instruction set.
template <class Problem>
Runner<Problem> runner(cpu::VariantList<Problem> variants) {
  const Variant<Problem>* variant = variants.back();
  return {variant->name, variant->refusal, [=](const Problem& p, uint32_t) {
            const Plan plan = variant->plan(p, 2);
            variant->run(p, plan, 0, plan.units);
          }};
}

void compare(const Case& c, Order order, uint32_t seed, Counts* counts, int* runs) {
  const cpu::KernelTable& table = cpu::kernel_table(cpu::Capability::baseline);
  compare_backward(c, order, seed, runners(counts), runner(table.gather), runner(table.tap_indices), runs);
}

TEST(Backward, EveryVariantEqualsAScatterOnNamedCases) {
  Counts counts;
  int runs = 0;
  uint32_t seed = 0;
  for (const Case& c : named_cases()) {
    for (const Order order : all_orders) {
      if (enumerable(c)) compare(c, order, ++seed, &counts, &runs);
      if (HasFatalFailure()) return;
    }
  }
  EXPECT_GT(runs, 1000);
  for (const cpu::Capability capability : cpu::available_capabilities()) {
    for (const Variant<Backward>* variant : cpu::kernel_table(capability).backward) {
      for (const ScalarType dtype : floating_types) {
        const std::string name = label(*variant, capability) + ' ' + name_of(dtype);
        EXPECT_GT(counts[name], 0) << name;
      }
    }
  }
}

TEST(Backward, EveryVariantEqualsAScatterOnRandomCases) {
  Counts counts;
  int runs = 0;
  uint32_t seed = 500;
  for (const Case& c : random_cases(200, 11)) {
    compare(c, all_orders[seed % std::size(all_orders)], seed, &counts, &runs);
    ++seed;
    if (HasFatalFailure()) return;
  }
}

TEST(Backward, ForeignTapsAreNeverFollowed) { check_foreign_taps(runners()); }

}  // namespace
}  // namespace voxpool::testing
