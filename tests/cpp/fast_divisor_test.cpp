#include "core/fast_divisor.h"

#include <gtest/gtest.h>

#include <random>

namespace voxpool::testing {
namespace {

void expect_exact(uint32_t n, uint32_t divisor) {
  const FastDivisor fast(divisor);
  uint32_t rest = n;
  const uint32_t remainder = fast.split(rest);
  ASSERT_EQ(rest, n / divisor) << n << " / " << divisor;
  ASSERT_EQ(remainder, n % divisor) << n << " % " << divisor;
}

TEST(FastDivisor, EqualsDivisionOfSmallNumbers) {
  for (uint32_t divisor = 1; divisor < 300; ++divisor) {
    for (uint32_t n = 0; n < 3000; ++n) expect_exact(n, divisor);
  }
}

// Around multiples of the divisor, where a multiplier that is off by little gives the wrong side, up to 2^31 - 1.
TEST(FastDivisor, EqualsDivisionUpToTheLargestNumbers) {
  constexpr uint32_t largest = (uint32_t{1} << 31) - 1;
  std::mt19937 random(5);
  for (int i = 0; i < 20000; ++i) {
    const uint32_t divisor = 1 + (random() & largest) % (uint32_t{1} << (1 + i % 31));
    const uint32_t multiple = largest / divisor * divisor;
    const uint32_t any = random() & largest;
    for (const uint32_t n : {largest, multiple, multiple - 1, any}) expect_exact(n, divisor);
  }
}

}  // namespace
}  // namespace voxpool::testing
