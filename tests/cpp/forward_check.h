#pragma once

#include <gtest/gtest.h>

#include <cstring>

#include "cases.h"
#include "reference.h"
#include "runner.h"
#include "tensors.h"

// A forward problem through any number of kernels, against brute force.
namespace voxpool::testing {

using Flush = GuardedBuffer::Flush;

struct Wanted {
  bool taps, indices, relu;
};

// 16-bit values without taps may return either zero and any NaN; everything else is exact to the bit.
template <class T>
bool same_value(T got, T expected, bool exact) {
  if (std::memcmp(&got, &expected, sizeof got) == 0) return true;
  if (exact || !is_half<T>) return false;
  const double a = number(got), b = number(expected);
  return a == b || (std::isnan(a) && std::isnan(b));
}

template <class Tap>
int64_t tap_at(const GuardedBuffer& taps, int64_t i) {
  return taps.as<Tap>()[i];
}

inline int64_t tap_at(const GuardedBuffer& taps, TapType type, int64_t i) {
  return type == TapType::u8    ? tap_at<uint8_t>(taps, i)
         : type == TapType::i32 ? tap_at<int32_t>(taps, i)
                                : tap_at<int64_t>(taps, i);
}

inline int64_t expected_tap(const TapCode& code, const Winner& winner) {
  if (winner.position < 0) {
    return code.type == TapType::u8 ? 255 : code.type == TapType::i32 ? INT32_MAX : INT64_MAX;
  }
  return code.type == TapType::i64 ? winner.position : winner.tap;
}

template <class T>
void run_and_compare(const Runner<Forward>& runner, const Case& c, Forward p, const GuardedBuffer& input,
                     const std::vector<Winner>& winners, Wanted wanted, Flush flush, uint32_t seed, int* runs) {
  const Geometry& g = p.geometry;
  const int64_t count = g.batch * g.channels * g.output_volume();
  GuardedBuffer output(count * sizeof(T), flush), taps(wanted.taps ? count * size_of(p.code.type) : 0, flush),
      indices(wanted.indices ? count * sizeof(int64_t) : 0, flush);
  p.output = output.as<void>();
  p.taps = wanted.taps ? taps.as<void>() : nullptr;
  p.indices = wanted.indices ? indices.as<int64_t>() : nullptr;
  p.relu = wanted.relu;
  if (runner.refusal(p) != nullptr) return;  // such as an address that is not aligned
  ++*runs;

  runner.run(p, seed);

  int64_t i = 0;
  for_each_output(g, [&](int64_t n, int64_t ch, int64_t od, int64_t oh, int64_t ow) {
    Winner winner = winners[i++];
    const Strides &in = p.input_strides, &out = p.output_strides;
    const int64_t o = n * out.n + ch * out.c + od * out.d + oh * out.h + ow * out.w;
    T expected = winner.position < 0 ? lowest<T>() : input.as<T>()[n * in.n + ch * in.c + winner.offset];
    if (wanted.relu && number(expected) <= 0) {
      winner = {};
      expected = T{};
    }
    const bool value_right = same_value(output.as<T>()[o], expected, wanted.taps || wanted.indices);
    const bool tap_right = !wanted.taps || tap_at(taps, p.code.type, o) == expected_tap(p.code, winner);
    const bool index_right = !wanted.indices || indices.as<int64_t>()[o] == winner.position;
    ASSERT_TRUE(value_right && tap_right && index_right)
        << runner.name << " on " << c.name() << ", output " << n << ',' << ch << ',' << od << ',' << oh << ',' << ow
        << " relu " << wanted.relu << ": value " << value_right << " tap " << tap_right << " index " << index_right;
  });
  EXPECT_TRUE(output.canaries_alive() && taps.canaries_alive() && indices.canaries_alive()) << c.name();
}

template <class T>
void compare_forward(const Case& c, ScalarType dtype, Order order, uint32_t seed,
                     const std::vector<Runner<Forward>>& runners, int* runs) {
  const Geometry g = c.geometry();
  const std::array<int64_t, 3> out{g.d().out, g.h().out, g.w().out};
  const Flush flush = seed % 2 == 0 ? Flush::end : Flush::begin;
  Forward p{g,
            dtype,
            tap_code(g),
            nullptr,
            strides_of(order, c.channels, c.in),
            nullptr,
            nullptr,
            nullptr,
            strides_of(dense(order), c.channels, out)};
  const int64_t count = extent(c.batch, c.channels, c.in, p.input_strides);
  GuardedBuffer input(count * sizeof(T), flush);
  fill_random<T>(input, count, seed);
  p.input = input.as<void>();

  std::vector<Winner> winners;
  for_each_output(g, [&](int64_t n, int64_t ch, int64_t od, int64_t oh, int64_t ow) {
    const T* volume = input.as<T>() + n * p.input_strides.n + ch * p.input_strides.c;
    winners.push_back(winner(g, volume, p.input_strides, od, oh, ow));
  });

  alignas(16) int64_t aligned = 0;
  for (const Runner<Forward>& runner : runners) {
    for (const Wanted wanted : {Wanted{false, false, false}, Wanted{true, false, false}, Wanted{false, true, false},
                                Wanted{true, true, false}, Wanted{false, false, true}, Wanted{true, false, true}}) {
      Forward probe = p;
      probe.taps = wanted.taps ? &aligned : nullptr;
      probe.indices = wanted.indices ? &aligned : nullptr;
      if (runner.refusal(probe) != nullptr) continue;
      run_and_compare<T>(runner, c, p, input, winners, wanted, flush, seed, runs);
      if (::testing::Test::HasFatalFailure()) return;
    }
  }
}

// For every element type.
inline void compare_forward(const Case& c, Order order, uint32_t seed, const std::vector<Runner<Forward>>& runners,
                            int* runs) {
  for (const ScalarType dtype : {ScalarType::u8, ScalarType::i8, ScalarType::i16, ScalarType::i32, ScalarType::i64,
                                 ScalarType::f16, ScalarType::bf16, ScalarType::f32, ScalarType::f64}) {
    dispatch(dtype, [&]<class T>(T) { compare_forward<T>(c, dtype, order, seed, runners, runs); });
    if (::testing::Test::HasFatalFailure()) break;
  }
}

}  // namespace voxpool::testing
