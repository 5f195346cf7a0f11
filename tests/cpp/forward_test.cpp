#include <gtest/gtest.h>

#include "cpu_runners.h"
#include "forward_check.h"

// Every forward kernel of every instruction set this machine has, on every problem it accepts, against brute force.
namespace voxpool::testing {
namespace {

TEST(Forward, EveryVariantEqualsBruteForceOnNamedCases) {
  Counts counts;
  int runs = 0;
  uint32_t seed = 0;
  for (const Case& c : named_cases()) {
    if (!enumerable(c)) continue;  // see the test below
    for (const Order order : all_orders) {
      compare_forward(c, order, ++seed, cpu_runners<Forward>(Tiles::own, &counts), &runs);
      if (HasFatalFailure()) return;
    }
  }
  RecordProperty("kernel_runs", runs);
  EXPECT_GT(runs, 5000);
  for (const cpu::Capability capability : cpu::available_capabilities()) {
    for (const Variant<Forward>* variant : cpu::kernel_table(capability).forward) {
      for (const ScalarType dtype : all_types) {
        const std::string_view variant_name = variant->name;
        // A row of one such element is already more than a quarter of a vector.
        const bool too_wide =
            capability == cpu::Capability::baseline && size_of(dtype) == 8 && variant_name.starts_with("transposed");
        for (const bool taps : {false, true}) {
          const bool none = too_wide || (taps && variant_name.starts_with("sliding"));
          for (const bool relu : {false, true}) {
            const std::string name = label(*variant, capability) + kind_of(dtype, taps, relu);
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
      compare_forward(c, order, ++seed, cpu_runners<Forward>(Tiles::smallest), &runs);
      if (HasFatalFailure()) return;
    }
  }
}

TEST(Forward, WindowsThatMoveByOneElementEqualBruteForce) {
  int runs = 0;
  uint32_t seed = 700;
  for (const Case& c : sliding_cases(100, 11)) {
    for (const Order order : {Order::channels_first, Order::channels_last}) {
      for (const Tiles tiles : {Tiles::own, Tiles::smallest}) {
        compare_forward(c, order, ++seed, cpu_runners<Forward>(tiles), &runs);
        if (HasFatalFailure()) return;
      }
    }
  }
}

TEST(Forward, EveryVariantEqualsBruteForceOnRandomCases) {
  int runs = 0;
  uint32_t seed = 1000;
  for (const Case& c : random_cases(150, 7)) {
    compare_forward(c, all_orders[seed % std::size(all_orders)], seed, cpu_runners<Forward>(Tiles::own), &runs);
    ++seed;
    if (HasFatalFailure()) return;
  }
}

TEST(Forward, WindowsWithMoreTapsThanAnInt32Counts) { check_enormous_windows(cpu_runners<Forward>(Tiles::own)); }

}  // namespace
}  // namespace voxpool::testing
