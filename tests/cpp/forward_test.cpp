#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <string_view>

#include "cases.h"
#include "cpu/kernel_table.h"
#include "cpu/tile_plan.h"
#include "reference.h"
#include "tensors.h"

// Every forward kernel of every instruction set this machine has, on every problem it accepts, against brute force.
namespace voxpool::testing {
namespace {

using Flush = GuardedBuffer::Flush;

struct Wanted {
  bool taps, indices, relu;
};

// 16-bit values without taps may return either zero and any NaN; everything else is exact to the bit.
template <class T>
bool same_value(T got, T expected, bool exact) {
  if (std::memcmp(&got, &expected, sizeof got) == 0) return true;
  if (exact || !cpu::is_half<T>) return false;
  const double a = number(got), b = number(expected);
  return a == b || (std::isnan(a) && std::isnan(b));
}

template <class Tap>
int64_t tap_at(const GuardedBuffer& taps, int64_t i) {
  return taps.as<Tap>()[i];
}

int64_t tap_at(const GuardedBuffer& taps, TapType type, int64_t i) {
  return type == TapType::u8    ? tap_at<uint8_t>(taps, i)
         : type == TapType::i32 ? tap_at<int32_t>(taps, i)
                                : tap_at<int64_t>(taps, i);
}

int64_t expected_tap(const TapCode& code, const Winner& winner) {
  if (winner.position < 0) {
    return code.type == TapType::u8 ? 255 : code.type == TapType::i32 ? INT32_MAX : INT64_MAX;
  }
  return code.type == TapType::i64 ? winner.position : winner.tap;
}

template <class T>
void run_and_compare(const Variant<Forward>& variant, const Case& c, Forward p, const GuardedBuffer& input,
                     const std::vector<Winner>& winners, Wanted wanted, const Plan& plan, Flush flush) {
  const Geometry& g = p.geometry;
  const int64_t count = g.batch * g.channels * g.output_volume();
  GuardedBuffer output(count * sizeof(T), flush), taps(wanted.taps ? count * size_of(p.code.type) : 0, flush),
      indices(wanted.indices ? count * sizeof(int64_t) : 0, flush);
  p.output = output.as<void>();
  p.taps = wanted.taps ? taps.as<void>() : nullptr;
  p.indices = wanted.indices ? indices.as<int64_t>() : nullptr;
  p.relu = wanted.relu;
  ASSERT_EQ(variant.refusal(p), nullptr);

  for (int64_t end = plan.units; end > 0; end -= 3) variant.run(p, plan, std::max<int64_t>(end - 3, 0), end);

  int64_t i = 0;
  for_each_output(g, [&](int64_t n, int64_t ch, int64_t od, int64_t oh, int64_t ow) {
    Winner winner = winners[i++];
    const Strides &in = p.input_strides, &out = p.output_strides;
    const int64_t o = n * out.n + ch * out.c + od * out.d + oh * out.h + ow * out.w;
    T expected = winner.position < 0 ? cpu::lowest<T>() : input.as<T>()[n * in.n + ch * in.c + winner.offset];
    if (wanted.relu && number(expected) <= 0) {
      winner = {};
      expected = T{};
    }
    const bool value_right = same_value(output.as<T>()[o], expected, wanted.taps || wanted.indices);
    const bool tap_right = !wanted.taps || tap_at(taps, p.code.type, o) == expected_tap(p.code, winner);
    const bool index_right = !wanted.indices || indices.as<int64_t>()[o] == winner.position;
    ASSERT_TRUE(value_right && tap_right && index_right)
        << variant.name << " on " << c.name() << ", output " << n << ',' << ch << ',' << od << ',' << oh << ',' << ow
        << " relu " << wanted.relu << ": value " << value_right << " tap " << tap_right << " index " << index_right;
  });
  EXPECT_TRUE(output.canaries_alive() && taps.canaries_alive() && indices.canaries_alive()) << c.name();
}

// The plan of the variant itself, or the smallest tiles there are: real volumes are cut, and these are too small for
// that.
enum class Tiles { own, smallest };

Plan plan_of(const Variant<Forward>& variant, const Forward& p, int64_t threads, Tiles tiles) {
  const std::string_view name = variant.name;
  if (tiles == Tiles::smallest && name.starts_with("separable")) {
    const bool last = name.ends_with("channels_last");
    return cpu::plan_tiles(p.geometry, last ? cpu::Layout::channels_last : cpu::Layout::channels_first, 5, threads, 64);
  }
  if (tiles == Tiles::smallest && name.starts_with("transposed")) {
    const int64_t bytes = static_cast<int64_t>(size_of(p.dtype));
    const Plan plan = cpu::plan_copies(p.geometry, cpu::Cut::outputs, bytes, threads, 16 * 1024);
    if (plan.units > 0) return plan;
  }
  return variant.plan(p, threads);
}

template <class T>
void compare_all(const Case& c, ScalarType dtype, Order order, uint32_t seed, int* runs, Tiles tiles) {
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

  for (const cpu::Capability capability : cpu::available_capabilities()) {
    for (const Variant<Forward>* variant : cpu::kernel_table(capability).forward) {
      for (const Wanted wanted : {Wanted{false, false, false}, Wanted{true, false, false}, Wanted{false, true, false},
                                  Wanted{true, true, false}, Wanted{false, false, true}, Wanted{true, false, true}}) {
        Forward probe = p;
        probe.taps = wanted.taps ? &probe : nullptr;
        probe.indices = wanted.indices ? reinterpret_cast<int64_t*>(&probe) : nullptr;
        if (variant->refusal(probe) != nullptr) continue;
        SCOPED_TRACE(std::string(cpu::name_of(capability)));
        const Plan plan = plan_of(*variant, probe, 1 + seed % 3, tiles);
        run_and_compare<T>(*variant, c, p, input, winners, wanted, plan, flush);
        ++*runs;
        if (::testing::Test::HasFatalFailure()) return;
      }
    }
  }
}

int compare_dtypes(const Case& c, Order order, uint32_t seed, Tiles tiles = Tiles::own) {
  int runs = 0;
  for (const ScalarType dtype : {ScalarType::u8, ScalarType::i8, ScalarType::i16, ScalarType::i32, ScalarType::i64,
                                 ScalarType::f16, ScalarType::bf16, ScalarType::f32, ScalarType::f64}) {
    cpu::dispatch(dtype, [&]<class T>(T) { compare_all<T>(c, dtype, order, seed, &runs, tiles); });
    if (::testing::Test::HasFatalFailure()) break;
  }
  return runs;
}

TEST(Forward, EveryVariantEqualsBruteForceOnNamedCases) {
  int runs = 0;
  uint32_t seed = 0;
  for (const Case& c : named_cases()) {
    if (c.window.axes[0].kernel > 1000) continue;  // too many taps to visit one by one: see the test below
    for (const Order order : all_orders) {
      runs += compare_dtypes(c, order, ++seed);
      if (HasFatalFailure()) return;
    }
  }
  RecordProperty("kernel_runs", runs);
  EXPECT_GT(runs, 5000);
}

TEST(Forward, TilesOfTheSmallestSizeGiveTheSameResult) {
  uint32_t seed = 500;
  for (const Case& c : named_cases()) {
    if (c.window.axes[0].kernel > 1000) continue;
    for (const Order order : {Order::channels_first, Order::channels_last}) {
      compare_dtypes(c, order, ++seed, Tiles::smallest);
      if (HasFatalFailure()) return;
    }
  }
}

TEST(Forward, EveryVariantEqualsBruteForceOnRandomCases) {
  uint32_t seed = 1000;
  for (const Case& c : random_cases(150, 7)) {
    compare_dtypes(c, all_orders[seed % std::size(all_orders)], seed);
    ++seed;
    if (HasFatalFailure()) return;
  }
}

// A window of 1291^3 taps: only the taps inside the input are worked on, and codes are positions.
TEST(Forward, WindowsWithMoreTapsThanAnInt32Counts) {
  const int64_t kernel = 1291, pad = 645;
  const WindowAxis axis{kernel, 1, pad, pad, 1};
  const Geometry g = make_geometry(1, 1, {4, 4, 4}, {{axis, axis, axis}});
  ASSERT_EQ(tap_code(g).type, TapType::i64);
  std::vector<float> input(64), output(g.output_volume());
  std::vector<int64_t> taps(output.size()), indices(output.size());
  for (int i = 0; i < 64; ++i) input[i] = static_cast<float>((i * 37) % 64);  // the maximum, 63, is at one place only
  const int64_t at = std::max_element(input.begin(), input.end()) - input.begin();
  const Strides s{64, 64, 16, 4, 1};
  const Forward p{g, ScalarType::f32, tap_code(g), input.data(), s, output.data(), taps.data(), indices.data(), s};
  for (const cpu::Capability capability : cpu::available_capabilities()) {
    const Variant<Forward>& variant = cpu::select(cpu::kernel_table(capability).forward, p);
    const Plan plan = variant.plan(p, 1);
    variant.run(p, plan, 0, plan.units);
    for (size_t i = 0; i < output.size(); ++i) {
      EXPECT_EQ(output[i], 63.f);
      EXPECT_EQ(taps[i], at);
      EXPECT_EQ(indices[i], at);
    }
  }
}

}  // namespace
}  // namespace voxpool::testing
