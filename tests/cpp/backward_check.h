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

template <class T>
struct Step {
  Geometry g;
  Order order;
  Strides in, out;
  GuardedBuffer input, taps, gradient;
  std::vector<Sum<T>> expected;  // per input element, laid out densely n, c, d, h, w
  TapCode code;

  Step(const Case& c, Order order, uint32_t seed)
      : g(c.geometry()),
        order(order),
        in(strides_of(order, c.channels, c.in)),
        out(strides_of(dense(order), c.channels, {g.d().out, g.h().out, g.w().out})),
        input(extent(c.batch, c.channels, c.in, in) * sizeof(T), flush_of(seed, 0)),
        taps(outputs() * size_of(tap_code(g).type), flush_of(seed, 1)),
        gradient(outputs() * sizeof(T), flush_of(seed, 2)),
        expected(c.batch * c.channels * g.input_volume()),
        code(tap_code(g)) {
    fill_random<T>(input, extent(c.batch, c.channels, c.in, in), seed);
    std::mt19937 random(seed);
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

  int64_t outputs() const { return g.batch * g.channels * g.output_volume(); }
};

template <class T>
void compare_backward(const Case& c, ScalarType dtype, Order order, uint32_t seed,
                      const std::vector<Runner<Backward>>& runners, int* runs) {
  const Step<T> step(c, order, seed);
  const Geometry& g = step.g;
  const Strides in = strides_of(dense(order), c.channels, c.in);
  for (const Runner<Backward>& runner : runners) {
    GuardedBuffer grad_input(g.batch * g.channels * g.input_volume() * sizeof(T), flush_of(seed, 3 + *runs));
    const Backward p{g,
                     dtype,
                     step.code,
                     step.gradient.template as<void>(),
                     step.taps.template as<void>(),
                     step.out,
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
                  << runner.name << " on " << c.name() << " at " << n << ',' << ch << ',' << d << ',' << h << ',' << w
                  << ": got " << number(got) << ", expected " << number(want);
            }
    EXPECT_TRUE(grad_input.canaries_alive());
  }
}

template <class T>
void compare_gathers(const Case& c, ScalarType dtype, Order order, uint32_t seed, const Runner<Gather>& gatherer,
                     const Runner<TapIndices>& indexer) {
  const Step<T> step(c, order, seed);
  const Geometry& g = step.g;
  GuardedBuffer output(step.outputs() * sizeof(T), flush_of(seed, 3)),
      indices(step.outputs() * sizeof(int64_t), flush_of(seed, 4));
  const Gather gather{g,
                      dtype,
                      step.code,
                      step.input.template as<void>(),
                      step.in,
                      step.taps.template as<void>(),
                      output.as<void>(),
                      step.out};
  const TapIndices tap_indices{g, step.code, step.taps.template as<void>(), indices.as<int64_t>(), step.out};
  gatherer.run(gather, seed);
  indexer.run(tap_indices, seed);

  for_each_output(g, [&](int64_t n, int64_t ch, int64_t od, int64_t oh, int64_t ow) {
    const int64_t o = n * step.out.n + ch * step.out.c + od * step.out.d + oh * step.out.h + ow * step.out.w;
    const T* volume = step.input.template as<T>() + n * step.in.n + ch * step.in.c;
    const Winner best = winner(g, volume, step.in, od, oh, ow);
    const T want = best.position < 0 ? T{} : volume[best.offset];
    ASSERT_EQ(std::memcmp(&output.as<T>()[o], &want, sizeof want), 0) << c.name();
    ASSERT_EQ(indices.as<int64_t>()[o], best.position) << c.name();
  });
  EXPECT_TRUE(output.canaries_alive() && indices.canaries_alive()) << c.name();
}

// For every floating type.
inline void compare_backward(const Case& c, Order order, uint32_t seed, const std::vector<Runner<Backward>>& runners,
                             const Runner<Gather>& gatherer, const Runner<TapIndices>& indexer, int* runs) {
  for (const ScalarType dtype : {ScalarType::f16, ScalarType::bf16, ScalarType::f32, ScalarType::f64}) {
    dispatch_floating(dtype, [&]<class T>(T) {
      compare_backward<T>(c, dtype, order, seed, runners, runs);
      compare_gathers<T>(c, dtype, order, seed, gatherer, indexer);
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
                       step.out,
                       grad_input.as<void>(),
                       strides_of(order, 4, c.in)};
      if (runner.refusal(p) != nullptr) continue;
      runner.run(p, seed);
      for (int64_t i = 0; i < 4 * step.g.input_volume(); ++i) ASSERT_EQ(grad_input.as<float>()[i], 0.f);
    }
  }
}

}  // namespace voxpool::testing
