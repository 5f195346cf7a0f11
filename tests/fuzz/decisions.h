#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace voxpool::fuzz {

// A test case made of bytes: one byte decides one thing, so that a fuzzer that changes a byte changes one thing. After
// the last byte every decision is the first choice.
class Decisions {
 public:
  Decisions(const uint8_t* data, size_t size) : next_(data), end_(data + size) {}

  int64_t pick(int64_t low, int64_t high) { return low + byte() % (high - low + 1); }  // up to 256 numbers
  bool flag() { return pick(0, 1) == 1; }

  template <class T, size_t count>
  T choose(const T (&values)[count]) {
    return values[byte() % count];
  }

  uint32_t seed() {
    const uint32_t high = byte();
    return high << 8 | byte();
  }

  // Small numbers and those where an int32 or an int64 ends.
  int64_t any_number() {
    static constexpr uint64_t bases[] = {0,
                                         uint64_t{1} << 31,
                                         uint64_t{1} << 61,
                                         uint64_t{1} << 63,
                                         uint64_t{1} << 30,
                                         uint64_t{1} << 20,
                                         uint64_t{1} << 32,
                                         uint64_t{1} << 62,
                                         ~(uint64_t{1} << 31) + 1,
                                         ~(uint64_t{1} << 62) + 1};
    const uint64_t base = choose(bases);
    return static_cast<int64_t>(base + static_cast<uint64_t>(static_cast<int64_t>(static_cast<int8_t>(byte()))));
  }

  // The same without signs and zero.
  int64_t any_length() {
    const int64_t number = any_number();
    return std::max<int64_t>(number < 0 ? ~number : number, 1);
  }

 private:
  uint8_t byte() { return next_ == end_ ? 0 : *next_++; }

  const uint8_t* next_;
  const uint8_t* end_;
};

}  // namespace voxpool::fuzz
