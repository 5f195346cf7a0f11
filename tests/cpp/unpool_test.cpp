#include "cpu_unpool.h"
#include "unpool_check.h"

// The CPU kernels of unpooling against brute force: however the work is divided, the answer is that of one loop.
namespace voxpool::testing {
namespace {

template <class T>
void check_all(int* divided) {
  uint32_t seed = 0;
  for_each_unpooling<T>([&](Unpooling<T>& u, Naming, const std::string& what) {
    const Unpool problem = u.problem();
    for (const int64_t threads : {1, 2, 16}) {
      *divided += cpu::wants_spans(problem, threads);
      for (const bool spans : {false, true}) {
        std::memset(u.output.template as<char>(), 0x77, static_cast<size_t>(u.outputs) * sizeof(T));
        ASSERT_EQ(unpool(problem, threads, ++seed, spans), 0) << what;
        u.check(what + " threads " + std::to_string(threads) + (spans ? " spans" : ""));
      }
    }
  });
}

TEST(Unpool, EqualsBruteForceHoweverItIsDivided) {
  int divided = 0;
  check_all<uint8_t>(&divided);
  check_all<uint16_t>(&divided);
  check_all<float>(&divided);
  check_all<int64_t>(&divided);
  EXPECT_GT(divided, 100);
}

TEST(Unpool, EveryUnitWritesItsOwnPositionsAndNoOthers) {
  int divided = 0;
  for_each_unpooling<float>([&](Unpooling<float>& u, Naming, const std::string& what) {
    const Unpool problem = u.problem();
    if (!cpu::wants_spans(problem, 16)) return;
    ++divided;
    int32_t invalid = 0;
    GuardedBuffer room = room_for_spans(problem, static_cast<uint32_t>(divided));
    cpu::IndexSpan* const spans = room.as<cpu::IndexSpan>();
    run_all<cpu::UnpoolSpans>(cpu::unpool_spans, {problem, spans, &invalid}, 16, 0);
    const cpu::UnpoolTask task{problem, spans, &invalid};
    const Plan plan = cpu::unpool.plan(task, 16);
    ASSERT_GT(plan.units, 1);
    const float untouched = -1;  // elements are positive
    std::vector<int> writers(static_cast<size_t>(u.outputs));
    for (int64_t unit = 0; unit < plan.units; ++unit) {
      std::fill_n(u.output.as<float>(), u.outputs, untouched);
      cpu::unpool.run(task, plan, unit, unit + 1);
      for (int64_t i = 0; i < u.outputs; ++i) writers[static_cast<size_t>(i)] += u.output.as<float>()[i] != untouched;
    }
    for (const int count : writers) ASSERT_EQ(count, 1) << what;
  });
  EXPECT_GT(divided, 50);
}

TEST(Unpool, IndicesOutsideAreReportedAndNotFollowed) {
  const UnpoolCase c{2, 4, {4, 8, 40}, 10240};
  for (const int64_t wrong : {c.volume, int64_t{-2}, std::numeric_limits<int64_t>::min(),
                              std::numeric_limits<int64_t>::max(), int64_t{1} << 40}) {
    for (const int64_t at : {0, 777, 8 * 40 * 16 - 1}) {
      for (const int64_t threads : {1, 16}) {
        for (const bool spans : {false, true}) {
          Unpooling<float> u(c, Order::channels_first, Order::channels_first, false, Naming::ascending, 5);
          u.indices.as<int64_t>()[at] = wrong;
          EXPECT_EQ(unpool(u.problem(), threads, 1, spans), 1) << wrong << " at " << at;
          EXPECT_TRUE(u.output.canaries_alive());
        }
      }
    }
  }
}

template <class T>
void check_gather() {
  uint32_t seed = 0;
  for_each_unpooling<T>([&](Unpooling<T>& u, Naming, const std::string& what) {
    // The tensor that was unpooled into serves as the gradient.
    const Unpool p = u.problem();
    for (int64_t i = 0; i < u.outputs; ++i) u.output.template as<T>()[i] = static_cast<T>(i * 7 + 1);
    const std::array<int64_t, 3> size{u.lengths.d, u.lengths.h, u.lengths.w};
    const Order order = all_orders[seed % 2];
    const Strides strides = strides_of(order, u.lengths.c, size);
    GuardedBuffer gathered(static_cast<size_t>(u.lengths.elements()) * sizeof(T), flush_of(seed, 3));
    const UnpoolGather gather{u.lengths,        u.volume,  p.dtype,         p.output,
                              p.output_strides, p.indices, p.index_strides, gathered.as<void>(),
                              strides};
    run_all(cpu::unpool_gather, gather, 2, ++seed);
    ASSERT_TRUE(gathered.canaries_alive());
    check_gathered(u, u.output.template as<T>(), gathered.as<T>(), strides, what);
  });
}

TEST(UnpoolGather, EqualsBruteForce) {
  check_gather<uint8_t>();
  check_gather<uint16_t>();
  check_gather<float>();
  check_gather<int64_t>();
}

TEST(UnpoolGather, NothingComesFromOutside) {
  const UnpoolCase c{1, 2, {2, 3, 8}, 100};
  Unpooling<float> u(c, Order::channels_first, Order::channels_last, false, Naming::ascending, 7);
  const int64_t outside[] = {-1, -2, 100, std::numeric_limits<int64_t>::min(), std::numeric_limits<int64_t>::max()};
  for (int64_t i = 0; i < u.lengths.elements(); ++i) u.indices.as<int64_t>()[i] = outside[i % std::size(outside)];
  GuardedBuffer gathered(static_cast<size_t>(u.lengths.elements()) * sizeof(float), GuardedBuffer::Flush::end);
  const Unpool p = u.problem();
  run_all(cpu::unpool_gather,
          {u.lengths, u.volume, p.dtype, p.output, p.output_strides, p.indices, p.index_strides, gathered.as<void>(),
           strides_of(Order::channels_first, 2, c.in)},
          1, 0);
  for (int64_t i = 0; i < u.lengths.elements(); ++i) ASSERT_EQ(gathered.as<float>()[i], 0.f);
}

}  // namespace
}  // namespace voxpool::testing
