#pragma once

#include <gtest/gtest.h>

#include <cstring>

#include "cases.h"
#include "reference.h"
#include "runner.h"
#include "tensors.h"

// Backward problems, and the gathers, through any number of kernels, against a scatter in ascending output order.
namespace voxpool::testing {

inline void put_tap(GuardedBuffer& taps, TapType type, int64_t i, int64_t value) {
  if (type == TapType::u8) {
    taps.as<uint8_t>()[i] = static_cast<uint8_t>(value);
  } else if (type == TapType::i32) {
    taps.as<int32_t>()[i] = static_cast<int32_t>(value);
  } else {
    taps.as<int64_t>()[i] = value;
  }
}

inline int64_t no_tap_of(TapType type) {
  return type == TapType::u8 ? 255 : type == TapType::i32 ? INT32_MAX : INT64_MAX;
}

// Gradients with fractions, so that the order and the precision of additions show.
template <class T>
T random_gradient(std::mt19937& random) {
  const double x = (static_cast<int>(random() % 2001) - 1000) / 37.0;
  return narrow<T>(static_cast<Sum<T>>(random() % 16 == 0 ? -0.0 : x));
}

// What one step of training leaves to its backward, and the gradient of its input by brute force.
template <class T>
struct Step {
  Geometry g;
  Meeting meeting;
  GuardedBuffer input, taps, gradient, indices;
  std::vector<Sum<T>> expected;  // per input element, laid out densely n, c, d, h, w
  TapCode code;

  Step(const Case& c, const Meeting& m)
      : g(c.geometry()),
        meeting(m),
        input(extent(c.batch, c.channels, c.in, m.input) * sizeof(T), flush_of(m.seed, 0)),
        taps(outputs() * size_of(tap_code(g).type), flush_of(m.seed, 1)),
        gradient(outputs() * sizeof(T), flush_of(m.seed, 2)),
        indices(outputs() * sizeof(int64_t), flush_of(m.seed, 3)),
        expected(c.batch * c.channels * g.input_volume()),
        code(tap_code(g)) {
    const Strides &in = m.input, &out = m.output;
    fill<T>(input, extent(c.batch, c.channels, c.in, in), m.fill, m.seed);
    std::mt19937 random(m.seed);
    for_each_output(g, [&](int64_t n, int64_t ch, int64_t od, int64_t oh, int64_t ow) {
      const int64_t o = n * out.n + ch * out.c + od * out.d + oh * out.h + ow * out.w;
      const Winner best = winner(g, input.as<T>() + n * in.n + ch * in.c, in, od, oh, ow);
      const T dy = random_gradient<T>(random);
      gradient.as<T>()[o] = dy;
      put_tap(taps, code.type, o,
              best.position < 0           ? no_tap_of(code.type)
              : code.type == TapType::i64 ? best.position
                                          : best.tap);
      if (best.position >= 0) {
        expected[(n * g.channels + ch) * g.input_volume() + best.position] += static_cast<Sum<T>>(number(dy));
      }
    });
  }

  Step(const Case& c, Order order, uint32_t seed) : Step(c, meeting_of(c, order, seed)) {}

  int64_t outputs() const { return g.batch * g.channels * g.output_volume(); }
};

// `in`: where grad_input lies.
template <class T>
void compare_backward(const Step<T>& step, const std::string& name, ScalarType dtype, const Strides& in,
                      const std::vector<Runner<Backward>>& runners, int* runs) {
  const Geometry& g = step.g;
  const uint32_t seed = step.meeting.seed;
  for (const Runner<Backward>& runner : runners) {
    GuardedBuffer grad_input(g.batch * g.channels * g.input_volume() * sizeof(T), flush_of(seed, 3 + *runs));
    const Backward p{g,
                     dtype,
                     step.code,
                     step.gradient.template as<void>(),
                     step.taps.template as<void>(),
                     step.meeting.output,
                     grad_input.as<void>(),
                     in,
                     seed / 2 % 2 == 1};
    if (runner.refusal(p) != nullptr) continue;
    runner.run(p, seed);
    ++*runs;

    int64_t i = 0;
    for (int64_t n = 0; n < g.batch; ++n)
      for (int64_t ch = 0; ch < g.channels; ++ch)
        for (int64_t d = 0; d < g.d().in; ++d)
          for (int64_t h = 0; h < g.h().in; ++h)
            for (int64_t w = 0; w < g.w().in; ++w) {
              const T want = narrow<T>(step.expected[i++]);
              const T got = grad_input.as<T>()[n * in.n + ch * in.c + d * in.d + h * in.h + w * in.w];
              ASSERT_EQ(std::memcmp(&got, &want, sizeof got), 0)
                  << runner.name << " on " << name << " at " << n << ',' << ch << ',' << d << ',' << h << ',' << w
                  << ": got " << number(got) << ", expected " << number(want);
            }
    EXPECT_TRUE(grad_input.canaries_alive());
  }
}

template <class T>
void compare_gathers(const Step<T>& step, const std::string& name, ScalarType dtype, const Runner<Gather>& gatherer,
                     const Runner<TapIndices>& indexer) {
  const Geometry& g = step.g;
  const Strides &in = step.meeting.input, &out = step.meeting.output;
  const uint32_t seed = step.meeting.seed;
  GuardedBuffer output(step.outputs() * sizeof(T), flush_of(seed, 3)),
      indices(step.outputs() * sizeof(int64_t), flush_of(seed, 4));
  const Gather gather{
      g, dtype, step.code, step.input.template as<void>(), in, step.taps.template as<void>(), output.as<void>(), out};
  const TapIndices tap_indices{g, step.code, step.taps.template as<void>(), indices.as<int64_t>(), out};
  gatherer.run(gather, seed);
  indexer.run(tap_indices, seed);

  for_each_output(g, [&](int64_t n, int64_t ch, int64_t od, int64_t oh, int64_t ow) {
    const int64_t o = n * out.n + ch * out.c + od * out.d + oh * out.h + ow * out.w;
    const T* volume = step.input.template as<T>() + n * in.n + ch * in.c;
    const Winner best = winner(g, volume, in, od, oh, ow);
    const T want = best.position < 0 ? T{} : volume[best.offset];
    ASSERT_EQ(std::memcmp(&output.as<T>()[o], &want, sizeof want), 0) << name;
    ASSERT_EQ(indices.as<int64_t>()[o], best.position) << name;
  });
  EXPECT_TRUE(output.canaries_alive() && indices.canaries_alive()) << name;
}

// For every floating type.
inline void compare_backward(const Case& c, Order order, uint32_t seed, const std::vector<Runner<Backward>>& runners,
                             const Runner<Gather>& gatherer, const Runner<TapIndices>& indexer, int* runs) {
  for (const ScalarType dtype : floating_types) {
    dispatch_floating(dtype, [&]<class T>(T) {
      const Step<T> step(c, order, seed);
      compare_backward<T>(step, c.name(), dtype, strides_of(dense(order), c.channels, c.in), runners, runs);
      compare_gathers<T>(step, c.name(), dtype, gatherer, indexer);
    });
    if (::testing::Test::HasFatalFailure()) break;
  }
}

// Tap bytes that no forward wrote: no access outside the buffers, and no gradient from a tap outside the window.
inline void check_foreign_taps(const std::vector<Runner<Backward>>& runners) {
  const Case c{1, 4, {4, 5, 40}, named_cases()[6].window};
  for (uint32_t seed = 0; seed < 16; ++seed) {
    const Order order = seed % 2 == 0 ? Order::channels_first : Order::channels_last;
    Step<float> step(c, order, seed);
    std::mt19937 random(seed);
    for (int64_t i = 0; i < step.outputs(); ++i) step.taps.as<uint8_t>()[i] = 27 + random() % 229;
    for (const Runner<Backward>& runner : runners) {
      GuardedBuffer grad_input(4 * step.g.input_volume() * sizeof(float), flush_of(seed, 3));
      const Backward p{step.g,
                       ScalarType::f32,
                       step.code,
                       step.gradient.as<void>(),
                       step.taps.as<void>(),
                       step.meeting.output,
                       grad_input.as<void>(),
                       strides_of(order, 4, c.in)};
      if (runner.refusal(p) != nullptr) continue;
      runner.run(p, seed);
      for (int64_t i = 0; i < 4 * step.g.input_volume(); ++i) ASSERT_EQ(grad_input.as<float>()[i], 0.f);
    }
  }
}

}  // namespace voxpool::testing
