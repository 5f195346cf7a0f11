#include "core/element.h"

#include <gtest/gtest.h>

#include <cmath>

#include "reference.h"

namespace voxpool::testing {
namespace {

template <class T>
class HalfTest : public ::testing::Test {};
using Halves = ::testing::Types<Float16, BFloat16>;
TYPED_TEST_SUITE(HalfTest, Halves);

TYPED_TEST(HalfTest, WideningIsExactForAllBits) {
  for (uint32_t bits = 0; bits < 65536; ++bits) {
    const TypeParam x{static_cast<uint16_t>(bits)};
    const double want = number(x);
    const double got = to_float(x);
    ASSERT_TRUE(want == got || (std::isnan(want) && std::isnan(got))) << bits;
    ASSERT_EQ(std::signbit(got), (bits & 0x8000) != 0) << bits;
  }
}

TYPED_TEST(HalfTest, NarrowingUndoesWidening) {
  for (uint32_t bits = 0; bits < 65536; ++bits) {
    const TypeParam x{static_cast<uint16_t>(bits)};
    const TypeParam back = narrow<TypeParam>(to_float(x));
    if (x.is_nan()) {
      ASSERT_TRUE(back.is_nan()) << bits;
    } else {
      ASSERT_EQ(back.bits, x.bits) << bits;
    }
  }
}

// Between two neighbours the nearer one is taken, half way the even one.
TYPED_TEST(HalfTest, NarrowingRoundsToNearestEven) {
  for (uint32_t bits = 0; bits < TypeParam::infinity - 1u; ++bits) {
    const double low = number(TypeParam{static_cast<uint16_t>(bits)});
    const double high = number(TypeParam{static_cast<uint16_t>(bits + 1)});
    const double middle = (low + high) / 2;
    const auto narrowed = [](double x) { return narrow<TypeParam>(static_cast<float>(x)).bits; };
    ASSERT_EQ(narrowed(middle), bits % 2 == 0 ? bits : bits + 1) << bits;
    const float below = std::nextafter(static_cast<float>(middle), 0.f);
    const float above = std::nextafter(static_cast<float>(middle), INFINITY);
    ASSERT_EQ(narrowed(below), bits) << bits;
    ASSERT_EQ(narrowed(above), bits + 1) << bits;
  }
}

TYPED_TEST(HalfTest, OverflowBecomesInfinity) {
  EXPECT_EQ(narrow<TypeParam>(INFINITY).bits, TypeParam::infinity);
  EXPECT_EQ(narrow<TypeParam>(-3.4e38f).bits, 0x8000 | TypeParam::infinity);
}

TYPED_TEST(HalfTest, WinsFollowsTheNumbers) {
  for (uint32_t a = 0; a < 65536; a += 97) {
    for (uint32_t b = 0; b < 65536; b += 89) {
      const TypeParam x{static_cast<uint16_t>(a)}, best{static_cast<uint16_t>(b)};
      ASSERT_EQ(wins(x, best), std::isnan(number(x)) || number(x) > number(best)) << a << ' ' << b;
    }
  }
}

}  // namespace
}  // namespace voxpool::testing
