#include <gtest/gtest.h>

#include <algorithm>
#include <string_view>

#include "cpu/kernel_table.h"
#include "cpu/tile_plan.h"
#include "forward_check.h"

// Every forward kernel of every instruction set this machine has, on every problem it accepts, against brute force.
namespace voxpool::testing {
namespace {

// The plan of the variant itself, or the smallest tiles there are: real volumes are cut, and these are too small for
// that.
enum class Tiles { own, smallest };

Plan plan_of(const Variant<Forward>& variant, const Forward& p, int64_t threads, Tiles tiles) {
  const std::string_view name = variant.name;
  if (tiles == Tiles::smallest && name.starts_with("separable")) {
    const bool last = name.ends_with("channels_last");
    return cpu::plan_tiles(p.geometry, last ? cpu::Layout::channels_last : cpu::Layout::channels_first, 5, threads, 64);
  }
  if (tiles == Tiles::smallest && name.starts_with("transposed")) {
    const int64_t bytes = static_cast<int64_t>(size_of(p.dtype));
    const Plan plan = cpu::plan_copies(p.geometry, cpu::Cut::outputs, bytes, threads, int64_t{16} * 1024);
    if (plan.units > 0) return plan;
  }
  return variant.plan(p, threads);
}

std::string label(const Variant<Forward>& variant, cpu::Capability capability) {
  return variant.name + (' ' + std::string(cpu::name_of(capability)));
}

// What the compiler makes a kernel of its own for.
std::string kind(ScalarType dtype, bool taps, bool relu) {
  return std::string(" ") + name_of(dtype) + (taps ? " taps" : " values") + (relu ? " relu" : "");
}

// Every forward kernel of every instruction set this machine has.
std::vector<Runner<Forward>> runners(Tiles tiles, Counts* counts = nullptr) {
  std::vector<Runner<Forward>> all;
  for (const cpu::Capability capability : cpu::available_capabilities()) {
    for (const Variant<Forward>* variant : cpu::kernel_table(capability).forward) {
      const std::string name = label(*variant, capability);
      const auto run = [=](const Forward& p, uint32_t seed) {
        if (counts != nullptr) ++(*counts)[name + kind(p.dtype, p.taps != nullptr || p.indices != nullptr, p.relu)];
        const Plan plan = plan_of(*variant, p, 1 + seed % 3, tiles);
        for (int64_t end = plan.units; end > 0; end -= 3) variant->run(p, plan, std::max<int64_t>(end - 3, 0), end);
      };
      all.push_back({name, variant->refusal, run});
    }
  }
  return all;
}

TEST(Forward, EveryVariantEqualsBruteForceOnNamedCases) {
  Counts counts;
  int runs = 0;
  uint32_t seed = 0;
  for (const Case& c : named_cases()) {
    if (!enumerable(c)) continue;  // see the test below
    for (const Order order : all_orders) {
      compare_forward(c, order, ++seed, runners(Tiles::own, &counts), &runs);
      if (HasFatalFailure()) return;
    }
  }
  RecordProperty("kernel_runs", runs);
  EXPECT_GT(runs, 5000);
  for (const cpu::Capability capability : cpu::available_capabilities()) {
    for (const Variant<Forward>* variant : cpu::kernel_table(capability).forward) {
      for (const ScalarType dtype : all_types) {
        // A row of one such element is already more than a quarter of a vector.
        const bool none = capability == cpu::Capability::baseline && size_of(dtype) == 8 &&
                          std::string_view(variant->name).starts_with("transposed");
        for (const bool taps : {false, true}) {
          for (const bool relu : {false, true}) {
            const std::string name = label(*variant, capability) + kind(dtype, taps, relu);
            EXPECT_EQ(counts[name] == 0, none) << name;
          }
        }
      }
    }
  }
}

TEST(Forward, TilesOfTheSmallestSizeGiveTheSameResult) {
  int runs = 0;
  uint32_t seed = 500;
  for (const Case& c : named_cases()) {
    if (!enumerable(c)) continue;
    for (const Order order : {Order::channels_first, Order::channels_last}) {
      compare_forward(c, order, ++seed, runners(Tiles::smallest), &runs);
      if (HasFatalFailure()) return;
    }
  }
}

TEST(Forward, EveryVariantEqualsBruteForceOnRandomCases) {
  int runs = 0;
  uint32_t seed = 1000;
  for (const Case& c : random_cases(150, 7)) {
    compare_forward(c, all_orders[seed % std::size(all_orders)], seed, runners(Tiles::own), &runs);
    ++seed;
    if (HasFatalFailure()) return;
  }
}

TEST(Forward, WindowsWithMoreTapsThanAnInt32Counts) { check_enormous_windows(runners(Tiles::own)); }

}  // namespace
}  // namespace voxpool::testing
