#include <gtest/gtest.h>

#include "backward_check.h"
#include "cpu_runners.h"

// Every backward kernel of every instruction set, and the gathers, against a scatter in ascending output order.
namespace voxpool::testing {
namespace {

// Every other time in small pieces: the cases are too small to be cut by themselves.
void compare(const Case& c, Order order, uint32_t seed, Counts* counts, int* runs) {
  const Tiles tiles = seed % 2 == 1 ? Tiles::smallest : Tiles::own;
  const auto runners = cpu_runners<Backward>(tiles, counts);
  compare_backward(c, order, seed, runners, cpu_runner<Gather>(), cpu_runner<TapIndices>(), runs);
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
        const std::string name = label(*variant, capability) + kind_of(dtype);
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

TEST(Backward, ForeignTapsAreNeverFollowed) { check_foreign_taps(cpu_runners<Backward>(Tiles::own)); }

}  // namespace
}  // namespace voxpool::testing
