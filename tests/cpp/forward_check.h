#pragma once

#include <gtest/gtest.h>

#include <cstring>
#include <span>

#include "cases.h"
#include "reference.h"
#include "runner.h"
#include "tensors.h"

// A forward problem through any number of kernels, against brute force.
namespace voxpool::testing {

struct Wanted {
  bool taps, indices, relu;
};

// Exact to the bit, but for 16-bit floats: any NaN is as good as another there, and without taps or indices, unless
// `exact`, either zero.
template <class T>
bool same_value(T got, T expected, bool exact) {
  if (std::memcmp(&got, &expected, sizeof got) == 0) return true;
  if (!is_half<T>) return false;
  const double a = number(got), b = number(expected);
  return (!exact && a == b) || (std::isnan(a) && std::isnan(b));
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
                     const std::vector<Winner>& winners, Wanted wanted, uint32_t seed, int* runs) {
  const Geometry& g = p.geometry;
  const int64_t count = g.batch * g.channels * g.output_volume();
  const uint32_t n = 4 * static_cast<uint32_t>(*runs);
  GuardedBuffer output(count * sizeof(T), flush_of(seed, n)),
      taps(wanted.taps ? count * size_of(p.code.type) : 0, flush_of(seed, n + 1)),
      indices(wanted.indices ? count * sizeof(int64_t) : 0, flush_of(seed, n + 2));
  p.output = output.as<void>();
  p.taps = wanted.taps ? taps.as<void>() : nullptr;
  p.indices = wanted.indices ? indices.as<int64_t>() : nullptr;
  p.relu = wanted.relu;
  p.stream = (seed / 2 + wanted.taps + wanted.indices + wanted.relu) % 2 == 1;
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
void compare_forward(const Case& c, ScalarType dtype, const Meeting& meeting, std::span<const Wanted> all_wanted,
                     const std::vector<Runner<Forward>>& runners, int* runs) {
  const Geometry g = c.geometry();
  Forward p{g, dtype, tap_code(g), nullptr, meeting.input, nullptr, nullptr, nullptr, meeting.output};
  const int64_t count = extent(c.batch, c.channels, c.in, meeting.input);
  GuardedBuffer input(count * sizeof(T), flush_of(meeting.seed, static_cast<uint32_t>(dtype)));
  fill<T>(input, count, meeting.fill, meeting.seed);
  p.input = input.as<void>();

  std::vector<Winner> winners;
  for_each_output(g, [&](int64_t n, int64_t ch, int64_t od, int64_t oh, int64_t ow) {
    const T* volume = input.as<T>() + n * p.input_strides.n + ch * p.input_strides.c;
    winners.push_back(winner(g, volume, p.input_strides, od, oh, ow));
  });

  alignas(16) int64_t aligned = 0;
  for (const Runner<Forward>& runner : runners) {
    for (const Wanted wanted : all_wanted) {
      Forward probe = p;
      probe.taps = wanted.taps ? &aligned : nullptr;
      probe.indices = wanted.indices ? &aligned : nullptr;
      if (runner.refusal(probe) != nullptr) continue;
      run_and_compare<T>(runner, c, p, input, winners, wanted, meeting.seed, runs);
      if (::testing::Test::HasFatalFailure()) return;
    }
  }
}

template <class T>
void compare_forward(const Case& c, ScalarType dtype, Order order, uint32_t seed,
                     const std::vector<Runner<Forward>>& runners, int* runs) {
  static constexpr Wanted all_wanted[] = {{false, false, false}, {true, false, false}, {false, true, false},
                                          {true, true, false},   {false, false, true}, {true, false, true}};
  compare_forward<T>(c, dtype, meeting_of(c, order, seed), all_wanted, runners, runs);
}

// For every element type.
inline void compare_forward(const Case& c, Order order, uint32_t seed, const std::vector<Runner<Forward>>& runners,
                            int* runs) {
  for (const ScalarType dtype : all_types) {
    dispatch(dtype, [&]<class T>(T) { compare_forward<T>(c, dtype, order, seed, runners, runs); });
    if (::testing::Test::HasFatalFailure()) break;
  }
}

// Windows of 1291^3 taps, whose codes are positions: only the taps inside the input are worked on. With a dilation of 2
// and an even start they are the even positions.
inline void check_enormous_windows(const std::vector<Runner<Forward>>& runners) {
  for (const int64_t dilation : {1, 2}) {
    const int64_t pad = 645 * dilation;
    const WindowAxis axis{1291, 2, pad, pad, dilation};
    const Geometry g = make_geometry(1, 1, {4, 4, 4}, {{axis, axis, axis}, false, PaddingRule::pairs});
    ASSERT_EQ(tap_code(g).type, TapType::i64);
    const int64_t count = g.output_volume(), row = g.w().out, plane = g.h().out * row;
    for (const auto flush : {GuardedBuffer::Flush::begin, GuardedBuffer::Flush::end}) {
      GuardedBuffer input(64 * sizeof(float), flush), output(count * sizeof(float), flush),
          taps(count * sizeof(int64_t), flush), indices(count * sizeof(int64_t), flush);
      int64_t at = 0;
      for (int64_t i = 0; i < 64; ++i) {
        input.as<float>()[i] = static_cast<float>((i * 37) % 64);  // every value once
        const bool read = i % 4 % dilation == 0 && i / 4 % 4 % dilation == 0 && i / 16 % dilation == 0;
        if (read && input.as<float>()[i] > input.as<float>()[at]) at = i;
      }
      const Forward p{g,
                      ScalarType::f32,
                      tap_code(g),
                      input.as<void>(),
                      {64, 64, 16, 4, 1},
                      output.as<void>(),
                      taps.as<void>(),
                      indices.as<int64_t>(),
                      {count, count, plane, row, 1}};
      for (const Runner<Forward>& runner : runners) {
        if (runner.refusal(p) != nullptr) continue;
        runner.run(p, 0);
        for (int64_t i = 0; i < count; ++i) {
          ASSERT_EQ(output.as<float>()[i], input.as<float>()[at]) << runner.name;
          ASSERT_EQ(taps.as<int64_t>()[i], at) << runner.name;
          ASSERT_EQ(indices.as<int64_t>()[i], at) << runner.name;
        }
      }
    }
  }
}

}  // namespace voxpool::testing
