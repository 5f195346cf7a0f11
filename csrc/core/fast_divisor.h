#pragma once

#include <cstdint>

#include "core/portability.h"

namespace voxpool {

// Division by a number that is known before the kernel starts: a multiplication, an addition and a shift. For a divisor
// d and s = ceil(log2 d), the quotient of any n < 2^31 is (floor(n * m / 2^32) + n) / 2^s with
// m = floor(2^32 * (2^s - d) / d) + 1. Source: Granlund and Montgomery, "Division by invariant integers using
// multiplication", 1994, figure 4.1; below 2^31 the sum does not overflow.
class FastDivisor {
 public:
  FastDivisor() = default;
  // 1 <= divisor <= 2^31.
  explicit constexpr FastDivisor(uint32_t divisor) : divisor_(divisor), multiplier_(1), shift_(0) {
    while ((uint64_t{1} << shift_) < divisor) ++shift_;
    multiplier_ = static_cast<uint32_t>((((uint64_t{1} << shift_) - divisor) << 32) / divisor + 1);
  }

  VOXPOOL_INLINE constexpr uint32_t quotient(uint32_t n) const {
    const uint32_t high = static_cast<uint32_t>(uint64_t{n} * multiplier_ >> 32);
    return (high + n) >> shift_;
  }

  // Returns the remainder of `n`, which becomes the quotient.
  VOXPOOL_INLINE constexpr uint32_t split(uint32_t& n) const {
    const uint32_t whole = quotient(n), remainder = n - whole * divisor_;
    n = whole;
    return remainder;
  }

 private:
  uint32_t divisor_ = 1, multiplier_ = 1, shift_ = 0;
};

}  // namespace voxpool
