#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <string_view>

#include "cases.h"
#include "cpu/kernel_table.h"
#include "cpu/tile_plan.h"
#include "reference.h"
#include "tensors.h"

// Every backward kernel of every instruction set, and the gathers, against a scatter in ascending output order.
namespace voxpool::testing {
namespace {

using Flush = GuardedBuffer::Flush;

void put_tap(GuardedBuffer& taps, TapType type, int64_t i, int64_t value) {
  if (type == TapType::u8) {
    taps.as<uint8_t>()[i] = static_cast<uint8_t>(value);
  } else if (type == TapType::i32) {
    taps.as<int32_t>()[i] = static_cast<int32_t>(value);
  } else {
    taps.as<int64_t>()[i] = value;
  }
}

int64_t no_tap_of(TapType type) { return type == TapType::u8 ? 255 : type == TapType::i32 ? INT32_MAX : INT64_MAX; }

// Gradients with fractions, so that the order and the precision of additions show.
template <class T>
T random_gradient(std::mt19937& random) {
  const double x = (static_cast<int>(random() % 2001) - 1000) / 37.0;
  return cpu::narrow<T>(static_cast<cpu::Sum<T>>(random() % 16 == 0 ? -0.0 : x));
}

template <class T>
struct Step {
  Geometry g;
  Order order;
  Strides in, out;
  GuardedBuffer input, taps, gradient, indices;
  std::vector<cpu::Sum<T>> expected;  // per input element, laid out densely n, c, d, h, w
  TapCode code;

  Step(const Case& c, Order order, uint32_t seed)
      : g(c.geometry()),
        order(order),
        in(strides_of(order, c.channels, c.in)),
        out(strides_of(dense(order), c.channels, {g.d().out, g.h().out, g.w().out})),
        input(extent(c.batch, c.channels, c.in, in) * sizeof(T), flush(seed)),
        taps(outputs() * size_of(tap_code(g).type), flush(seed)),
        gradient(outputs() * sizeof(T), flush(seed)),
        indices(outputs() * sizeof(int64_t), flush(seed)),
        expected(c.batch * c.channels * g.input_volume()),
        code(tap_code(g)) {
    fill_random<T>(input, extent(c.batch, c.channels, c.in, in), seed);
    std::mt19937 random(seed);
    for_each_output(g, [&](int64_t n, int64_t ch, int64_t od, int64_t oh, int64_t ow) {
      const int64_t o = n * out.n + ch * out.c + od * out.d + oh * out.h + ow * out.w;
      const Winner best = winner(g, input.as<T>() + n * in.n + ch * in.c, in, od, oh, ow);
      const T dy = random_gradient<T>(random);
      gradient.as<T>()[o] = dy;
      indices.as<int64_t>()[o] = best.position;
      put_tap(taps, code.type, o,
              best.position < 0           ? no_tap_of(code.type)
              : code.type == TapType::i64 ? best.position
                                          : best.tap);
      if (best.position >= 0) {
        expected[(n * g.channels + ch) * g.input_volume() + best.position] += static_cast<cpu::Sum<T>>(number(dy));
      }
    });
  }

  static Flush flush(uint32_t seed) { return seed % 2 == 0 ? Flush::end : Flush::begin; }
  int64_t outputs() const { return g.batch * g.channels * g.output_volume(); }
};

// Every other time in small pieces: the cases are too small to be cut by themselves.
Plan plan_of(const Variant<Backward>& variant, const Backward& p, uint32_t seed) {
  if (seed % 2 == 1 && std::string_view(variant.name).starts_with("transposed")) {
    const int64_t bytes = static_cast<int64_t>(size_of(p.dtype));
    const Plan plan = cpu::plan_copies(p.geometry, cpu::Cut::inputs, bytes, 1 + seed % 3, 16 * 1024);
    if (plan.units > 0) return plan;
  }
  return variant.plan(p, 1 + seed % 3);
}

template <class T>
void compare_backward(const Case& c, ScalarType dtype, Order order, uint32_t seed) {
  const Step<T> step(c, order, seed);
  const Geometry& g = step.g;
  const Strides in = strides_of(dense(order), c.channels, c.in);
  for (const cpu::Capability capability : cpu::available_capabilities()) {
    for (const Variant<Backward>* variant : cpu::kernel_table(capability).backward) {
      GuardedBuffer grad_input(g.batch * g.channels * g.input_volume() * sizeof(T), Step<T>::flush(seed));
      const Backward p{g,
                       dtype,
                       step.code,
                       step.gradient.template as<void>(),
                       step.taps.template as<void>(),
                       step.out,
                       grad_input.as<void>(),
                       in};
      if (variant->refusal(p) != nullptr) continue;
      const Plan plan = plan_of(*variant, p, seed);
      for (int64_t end = plan.units; end > 0; end -= 3) variant->run(p, plan, std::max<int64_t>(end - 3, 0), end);

      int64_t i = 0;
      for (int64_t n = 0; n < g.batch; ++n)
        for (int64_t ch = 0; ch < g.channels; ++ch)
          for (int64_t d = 0; d < g.d().in; ++d)
            for (int64_t h = 0; h < g.h().in; ++h)
              for (int64_t w = 0; w < g.w().in; ++w) {
                const T want = cpu::narrow<T>(step.expected[i++]);
                const T got = grad_input.as<T>()[n * in.n + ch * in.c + d * in.d + h * in.h + w * in.w];
                ASSERT_EQ(std::memcmp(&got, &want, sizeof got), 0)
                    << variant->name << ' ' << cpu::name_of(capability) << " on " << c.name() << " at " << n << ','
                    << ch << ',' << d << ',' << h << ',' << w << ": got " << number(got) << ", expected "
                    << number(want);
              }
      EXPECT_TRUE(grad_input.canaries_alive());
    }
  }
}

template <class T>
void compare_gathers(const Case& c, ScalarType dtype, Order order, uint32_t seed) {
  const Step<T> step(c, order, seed);
  const Geometry& g = step.g;
  const cpu::KernelTable& table = cpu::kernel_table(cpu::Capability::baseline);
  GuardedBuffer output(step.outputs() * sizeof(T), Flush::end), indices(step.outputs() * sizeof(int64_t), Flush::end);
  const Gather gather{g,
                      dtype,
                      step.code,
                      step.input.template as<void>(),
                      step.in,
                      step.taps.template as<void>(),
                      output.as<void>(),
                      step.out};
  const TapIndices tap_indices{g, step.code, step.taps.template as<void>(), indices.as<int64_t>(), step.out};
  const Variant<Gather>& gather_kernel = cpu::select(table.gather, gather);
  const Variant<TapIndices>& indices_kernel = cpu::select(table.tap_indices, tap_indices);
  const Plan plan = gather_kernel.plan(gather, 2), indices_plan = indices_kernel.plan(tap_indices, 2);
  gather_kernel.run(gather, plan, 0, plan.units);
  indices_kernel.run(tap_indices, indices_plan, 0, indices_plan.units);

  for_each_output(g, [&](int64_t n, int64_t ch, int64_t od, int64_t oh, int64_t ow) {
    const int64_t o = n * step.out.n + ch * step.out.c + od * step.out.d + oh * step.out.h + ow * step.out.w;
    const T* volume = step.input.template as<T>() + n * step.in.n + ch * step.in.c;
    const Winner best = winner(g, volume, step.in, od, oh, ow);
    const T want = best.position < 0 ? T{} : volume[best.offset];
    ASSERT_EQ(std::memcmp(&output.as<T>()[o], &want, sizeof want), 0) << c.name();
    ASSERT_EQ(indices.as<int64_t>()[o], best.position) << c.name();
  });
}

bool enumerable(const Case& c) { return c.window.axes[0].kernel < 1000; }

void compare_dtypes(const Case& c, Order order, uint32_t seed) {
  for (const ScalarType dtype : {ScalarType::f16, ScalarType::bf16, ScalarType::f32, ScalarType::f64}) {
    cpu::dispatch_floating(dtype, [&]<class T>(T) {
      compare_backward<T>(c, dtype, order, seed);
      compare_gathers<T>(c, dtype, order, seed);
    });
  }
}

TEST(Backward, EveryVariantEqualsAScatterOnNamedCases) {
  uint32_t seed = 0;
  for (const Case& c : named_cases()) {
    for (const Order order : all_orders) {
      if (enumerable(c)) compare_dtypes(c, order, ++seed);
      if (HasFatalFailure()) return;
    }
  }
}

TEST(Backward, EveryVariantEqualsAScatterOnRandomCases) {
  uint32_t seed = 500;
  for (const Case& c : random_cases(200, 11)) {
    compare_dtypes(c, all_orders[seed % std::size(all_orders)], seed);
    ++seed;
    if (HasFatalFailure()) return;
  }
}

// Tap bytes that no forward wrote: no access outside the buffers, and no gradient from a tap outside the window.
TEST(Backward, ForeignTapsAreNeverFollowed) {
  const Case c{1, 3, {4, 5, 40}, named_cases()[6].window};
  for (const Order order : {Order::channels_first, Order::channels_last}) {
    Step<float> step(c, order, 3);
    std::mt19937 random(1);
    for (int64_t i = 0; i < step.outputs(); ++i) step.taps.as<uint8_t>()[i] = 27 + random() % 229;
    for (const cpu::Capability capability : cpu::available_capabilities()) {
      for (const Variant<Backward>* variant : cpu::kernel_table(capability).backward) {
        GuardedBuffer grad_input(3 * step.g.input_volume() * sizeof(float), Flush::end);
        const Backward p{step.g,
                         ScalarType::f32,
                         step.code,
                         step.gradient.as<void>(),
                         step.taps.as<void>(),
                         step.out,
                         grad_input.as<void>(),
                         strides_of(order, 3, c.in)};
        if (variant->refusal(p) != nullptr) continue;
        const Plan plan = variant->plan(p, 1);
        variant->run(p, plan, 0, plan.units);
        for (int64_t i = 0; i < 3 * step.g.input_volume(); ++i) ASSERT_EQ(grad_input.as<float>()[i], 0.f);
      }
    }
  }
}

}  // namespace
}  // namespace voxpool::testing
