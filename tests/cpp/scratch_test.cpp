#include <gtest/gtest.h>

#include <algorithm>
#include <string_view>

#include "cpu/kernel_table.h"
#include "cpu/tile_plan.h"
#include "scratch_memory.h"
#include "tensors.h"

// What the kernels ask memory for while they run: how much, and what becomes of a request that fails.
namespace voxpool::testing {
namespace {

constexpr int64_t batch = 1;

Window cube(int64_t kernel, int64_t stride, int64_t pad, int64_t dilation = 1) {
  const WindowAxis axis{kernel, stride, pad, pad, dilation};
  return {{axis, axis, axis}, false, PaddingRule::pairs, 3};
}

Window line(int64_t kernel, int64_t stride, int64_t pad) {
  const WindowAxis one{1, 1, 0, 0, 1};
  return {{one, one, {kernel, stride, pad, pad, 1}}, false, PaddingRule::pairs, 3};
}

enum class Results { values, taps, indices };

// A forward and a backward problem on zeros, all of whose taps are the first.
struct Problems {
  Problems(int64_t channels, std::array<int64_t, 3> in, const Window& window, Order order, Results results)
      : g(make_geometry(batch, channels, in, window)),
        outputs(channels * g.output_volume()),
        inputs(channels * g.input_volume()),
        input(static_cast<size_t>(inputs)),
        output(static_cast<size_t>(outputs)),
        taps(static_cast<size_t>(outputs)),
        indices(results == Results::indices ? static_cast<size_t>(outputs) : 0) {
    const Strides to = strides_of(order, channels, {g.d().out, g.h().out, g.w().out});
    const Strides from = strides_of(order, channels, in);
    forward = {g, ScalarType::f32, tap_code(g), input.data(), from, output.data(), nullptr, nullptr, to};
    if (results == Results::taps) forward.taps = taps.data();
    if (results == Results::indices) forward.indices = indices.data();
    backward = {g, ScalarType::f32, tap_code(g), output.data(), taps.data(), to, input.data(), from};
  }

  Geometry g;
  int64_t outputs, inputs;
  std::vector<float> input, output;
  std::vector<uint8_t> taps;
  std::vector<int64_t> indices;
  Forward forward{};
  Backward backward{};
};

// The kernels that run everything have no scratch.
template <class Problem>
bool is_generic(const Variant<Problem>& variant) {
  return std::string_view(variant.name) == "generic";
}

// What a thread asked for at most, on its first unit of the plan for one thread: nothing larger comes later.
template <class Problem>
int64_t most_scratch(const Variant<Problem>& variant, const Problem& p) {
  scratch_memory().most_bytes = 0;
  const Plan plan = variant.plan(p, 1);
  variant.run(p, plan, 0, std::min<int64_t>(plan.units, 1));
  return static_cast<int64_t>(scratch_memory().most_bytes);
}

// Half of the second-level cache; or tiles of 16 columns and 2 rows where that is more, the smallest there are, of 4
// rows of two planes where windows move by one element. Beside it tables, and the rows that are reduced together.
int64_t bound(const Geometry& g, Order order) {
  const int64_t lanes_per_column = order == Order::channels_last ? g.channels : 1;
  const cpu::Rings rings = cpu::rings(g);
  const int64_t lanes = std::min<int64_t>(16, g.w().out) * lanes_per_column;
  const int64_t rows = rings.rows + rings.planes * std::min<int64_t>(g.h().out, 2);
  const int64_t smallest = std::max(rows * lanes * 5, 4 * 2 * lanes * 4);
  int64_t positions = 0;
  for (const Axis& axis : g.axes) positions += axis.in + axis.out;
  const int64_t together = (2048 + 64 + lanes) * (g.h().stride + 2) * 5;
  return std::max(cpu::scratch_budget(), smallest) + 64 * (positions + rings.rows + rings.planes) + together;
}

template <class Problem>
void expect_bounded(cpu::VariantList<Problem> variants, const Problem& p, Order order, int* runs) {
  for (const Variant<Problem>* variant : variants) {
    if (variant->refusal(p) != nullptr || is_generic(*variant)) continue;
    EXPECT_LE(most_scratch(*variant, p), bound(p.geometry, order)) << variant->name;
    ++*runs;
  }
}

struct Wide {
  int64_t channels;
  std::array<int64_t, 3> in;
  Window window;
};

TEST(Scratch, StaysBelowItsBoundHoweverLargeTheTensor) {
  const Wide cases[] = {
      {2, {1, 1, 20000}, line(255, 1, 127)},  // 20000 positions, each read by 255 windows
      {1, {1, 1, 300000}, line(3, 2, 1)},    {64, {1, 256, 256}, cube(2, 2, 0)},  {3, {2, 400, 400}, cube(3, 1, 1)},
      {2000, {3, 9, 9}, cube(3, 1, 1)},      {16, {9, 9, 3}, cube(3, 2, 1)},      {4, {40, 40, 40}, cube(6, 1, 3)},
      {4, {30, 30, 30}, cube(3, 1, 1, 10)},  {1, {600, 8, 8}, cube(3, 1, 1)},     {1, {8, 6000, 8}, cube(5, 4, 2)},
      {64, {8, 1, 4096}, cube(3, 1, 1)},     {1, {8, 1, 1 << 18}, cube(3, 1, 1)}, {512, {4, 2, 100}, cube(3, 1, 1)},
      {1, {4, 30000, 9}, cube(3, 1, 1)},     {64, {4, 57, 57}, cube(3, 1, 1)},    {2048, {3, 5, 9}, cube(3, 1, 1)},
  };
  int runs = 0;
  for (const Wide& c : cases) {
    for (const Order order : {Order::channels_first, Order::channels_last}) {
      for (const Results results : {Results::values, Results::taps, Results::indices}) {
        Window window = c.window;
        if (c.in[0] == 1) window.axes[0] = {1, 1, 0, 0, 1};
        const Problems p(c.channels, c.in, window, order, results);
        for (const cpu::Capability capability : cpu::available_capabilities()) {
          const cpu::KernelTable& table = cpu::kernel_table(capability);
          expect_bounded(table.forward, p.forward, order, &runs);
          if (results == Results::taps) expect_bounded(table.backward, p.backward, order, &runs);
        }
      }
    }
  }
  EXPECT_GT(runs, 50 * static_cast<int>(cpu::available_capabilities().size()));
}

// Every request of a kernel fails once.
template <class Problem>
void expect_exceptions(cpu::VariantList<Problem> variants, const Problem& p, int* failures) {
  for (const Variant<Problem>* variant : variants) {
    if (variant->refusal(p) != nullptr) continue;
    const Plan plan = variant->plan(p, 1);
    for (size_t nth = 0;; ++nth) {
      scratch_memory().until_failure = nth;
      try {
        variant->run(p, plan, 0, plan.units);
        EXPECT_EQ(nth == 0, is_generic(*variant)) << variant->name;
        scratch_memory().until_failure = SIZE_MAX;
        break;
      } catch (const std::bad_alloc&) {
        ++*failures;
      }
      EXPECT_EQ(scratch_memory().blocks, 0u) << variant->name;
    }
  }
}

TEST(Scratch, AFailedRequestIsAnExceptionAndLeavesNothingBehind) {
  int failures = 0;
  for (const Order order : {Order::channels_first, Order::channels_last}) {
    // Rows of three columns, and channels enough, for the kernels on copies; windows of every kind.
    const Problems all[] = {{20, {6, 6, 6}, cube(3, 2, 1), order, Results::taps},
                            {20, {6, 6, 6}, cube(2, 2, 0), order, Results::taps},
                            {16, {6, 6, 4}, cube(3, 1, 1), order, Results::values}};
    for (const Problems& p : all) {
      for (const cpu::Capability capability : cpu::available_capabilities()) {
        const cpu::KernelTable& table = cpu::kernel_table(capability);
        expect_exceptions(table.forward, p.forward, &failures);
        expect_exceptions(table.backward, p.backward, &failures);
      }
    }
  }
  EXPECT_GT(failures, 10 * static_cast<int>(cpu::available_capabilities().size()));
}

}  // namespace
}  // namespace voxpool::testing
