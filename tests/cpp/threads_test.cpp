#include <gtest/gtest.h>

#include <atomic>
#include <cstring>
#include <functional>
#include <thread>
#include <vector>

#include "cases.h"
#include "cpu/kernel_table.h"
#include "cpu/streaming.h"
#include "cpu/tile_plan.h"
#include "cpu/unpool.h"
#include "tensors.h"

// Kernels on many threads: the units of one problem divided as csrc/ops/parallel.h divides them, several problems at
// once, and the instruction set changed meanwhile. std::thread, as OpenMP's own barriers are unknown to the thread
// sanitizer, under which `make tsan` runs this.
namespace voxpool::testing {
namespace {

void at_once(int threads, const std::function<void(int)>& work) {
  std::vector<std::thread> all;
  all.reserve(threads);
  for (int i = 0; i < threads; ++i) all.emplace_back(work, i);
  for (std::thread& thread : all) thread.join();
}

// What ops::run does.
template <class Problem>
void run(cpu::VariantList<Problem> variants, const Problem& problem, int threads) {
  const Variant<Problem>& variant = cpu::select(variants, problem);
  const Plan plan = variant.plan(problem, threads);
  const int64_t share = ceil_div(plan.units, threads);
  at_once(threads, [&](int i) {
    const int64_t begin = i * share, end = std::min(begin + share, plan.units);
    if (begin < end) variant.run(problem, plan, begin, end);
  });
}

template <class Problem>
void run_by_capability(Problem problem, int threads) {
  // As large as streams, so that the choice is made, which depends on whether the results have been touched.
  if constexpr (requires { problem.stream; }) {
    problem.stream = cpu::worth_streaming(problem, 2 * cpu::last_level_bytes());
  }
  run(cpu::kernel_table(cpu::capability()).of(problem), problem, threads);
}

constexpr const Variant<cpu::UnpoolTask>* unpool_variants[] = {&cpu::unpool};
constexpr const Variant<cpu::UnpoolSpans>* span_variants[] = {&cpu::unpool_spans};

// Everything that one volume goes through: pooled with taps and indices, its gradient, both gathers, and unpooled.
// Small numbers without NaN and negative zero, so that no result depends on the instruction set.
struct Work {
  static constexpr ScalarType dtype = ScalarType::f32;
  Geometry g;
  Strides in, out;
  std::vector<float> input, gradient;

  Work(const Case& c, Order order, uint32_t seed)
      : g(c.geometry()),
        in(strides_of(order, c.channels, c.in)),
        out(strides_of(order, c.channels, {g.d().out, g.h().out, g.w().out})),
        input(static_cast<size_t>(g.batch * g.channels * g.input_volume())),
        gradient(outputs()) {
    std::mt19937 random(seed);
    for (float& x : input) x = static_cast<float>(random() % 50);
    for (float& x : gradient) x = static_cast<float>(random() % 50) / 7.f;
  }

  size_t outputs() const { return static_cast<size_t>(g.batch * g.channels * g.output_volume()); }

  struct Results {
    std::vector<float> values, relu, gathered, grad_input, unpooled;
    std::vector<uint8_t> taps;
    std::vector<int64_t> indices, tap_indices;
    int32_t invalid = 0;

    bool operator==(const Results&) const = default;
  };

  Results run(int threads) const {
    Results r;
    r.values.resize(outputs()), r.relu.resize(outputs()), r.gathered.resize(outputs());
    r.taps.resize(outputs()), r.indices.resize(outputs()), r.tap_indices.resize(outputs());
    r.grad_input.resize(input.size()), r.unpooled.resize(input.size(), -1);
    const TapCode code = tap_code(g);

    Forward forward{g, dtype, code, input.data(), in, r.values.data(), r.taps.data(), r.indices.data(), out};
    run_by_capability(forward, threads);
    forward.output = r.relu.data();
    forward.taps = nullptr;
    forward.indices = nullptr;
    forward.relu = true;
    run_by_capability(forward, threads);
    run_by_capability(Backward{g, dtype, code, gradient.data(), r.taps.data(), out, r.grad_input.data(), in}, threads);
    run_by_capability(Gather{g, dtype, code, input.data(), in, r.taps.data(), r.gathered.data(), out}, threads);
    run_by_capability(TapIndices{g, code, r.taps.data(), r.tap_indices.data(), out}, threads);

    const bool last = in.c == 1;
    const int64_t volume = g.input_volume();
    const Unpool unpool{{g.batch, g.channels, g.d().out, g.h().out, g.w().out},
                        volume,
                        dtype,
                        r.values.data(),
                        out,
                        r.indices.data(),
                        out,
                        r.unpooled.data(),
                        {in.n, last ? 1 : volume, last ? g.channels : 1}};
    std::vector<cpu::IndexSpan> spans(static_cast<size_t>(cpu::span_count(unpool)));
    ::voxpool::testing::run<cpu::UnpoolSpans>(span_variants, {unpool, spans.data(), &r.invalid}, threads);
    ::voxpool::testing::run<cpu::UnpoolTask>(unpool_variants, {unpool, spans.data(), &r.invalid}, threads);
    return r;
  }
};

std::vector<Work> works() {
  const auto window = [](WindowAxis a) { return Window{{a, a, a}, false, PaddingRule::pairs, 3}; };
  const Window k2 = window({2, 2, 0, 0, 1}), k3s2 = window({3, 2, 1, 1, 1}), k3s1 = window({3, 1, 1, 1, 1});
  const Case cases[] = {
      {2, 3, {9, 12, 35}, k3s2},
      {1, 2, {6, 11, 40}, k3s1},
      {1, 3, {8, 10, 34}, k2},
      {1, 34, {9, 6, 5}, k3s2},                     // copied with the channels innermost
      {1, 2, {7, 9, 21}, window({3, 2, 1, 1, 3})},  // dilated
      {1, 1, {24, 32, 48}, k2},                     // unpooled in ranges of one volume
  };
  std::vector<Work> all;
  for (const Case& c : cases) {
    for (const Order order : {Order::channels_first, Order::channels_last}) {
      all.emplace_back(c, order, static_cast<uint32_t>(all.size()));
    }
  }
  return all;
}

// The first of all tests, so that what is decided once in a process is decided by several threads at the same time.
TEST(Threads, FirstCallsAtOnce) {
  std::atomic<int64_t> sum{0};
  at_once(8, [&](int) {
    sum += cpu::last_level_bytes() + cpu::scratch_budget() + static_cast<int64_t>(cpu::capability());
    int64_t somewhere = 0;
    sum += cpu::is_resident(&somewhere, sizeof somewhere);
  });
  EXPECT_EQ(sum, 8 * (cpu::last_level_bytes() + cpu::scratch_budget() + static_cast<int64_t>(cpu::capability()) + 1));
}

TEST(Threads, ResultsAreThoseOfOneThread) {
  for (const Work& work : works()) {
    const Work::Results expected = work.run(1);
    for (const int threads : {2, 3, 8}) EXPECT_EQ(work.run(threads), expected) << threads << " threads";
  }
}

TEST(Threads, ManyPoolWhileTheInstructionSetChanges) {
  const std::string_view before = cpu::name_of(cpu::capability());
  const std::vector<Work> all = works();
  std::vector<Work::Results> expected;
  expected.reserve(all.size());
  for (const Work& work : all) expected.push_back(work.run(1));

  std::atomic<bool> done{false};
  std::thread switching([&] {
    while (!done) {
      for (const cpu::Capability capability : cpu::available_capabilities()) {
        cpu::set_capability(cpu::name_of(capability));
        std::this_thread::yield();
      }
    }
  });
  std::atomic<int> wrong{0};
  at_once(4, [&](int caller) {
    for (size_t i = 0; i < all.size(); ++i) {
      const size_t which = (i + static_cast<size_t>(caller)) % all.size();
      wrong += all[which].run(1 + static_cast<int>(i % 3)) != expected[which];
    }
  });
  done = true;
  switching.join();
  cpu::set_capability(before);
  EXPECT_EQ(wrong, 0);
}

}  // namespace
}  // namespace voxpool::testing
