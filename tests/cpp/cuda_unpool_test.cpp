#include "cuda/unpool.h"

#include "cuda/kernels/unpool.h"
#include "unpool_check.h"

// The CUDA kernels of unpooling, their own source, run on the host one thread after the other, against brute force.
namespace voxpool::testing {
namespace {

constexpr cuda::Queue queue;

template <class T>
void check_scatter() {
  for_each_unpooling<T>([&](Unpooling<T>& u, Naming naming, const std::string& what) {
    // Which of several elements with one index wins is not said.
    if (naming == Naming::repeated || naming == Naming::single || u.outputs == 0) return;
    std::memset(u.output.template as<char>(), 0, static_cast<size_t>(u.outputs) * sizeof(T));
    cuda::launch_unpool(u.problem(), queue);
    u.check(what);
  });
}

TEST(CudaUnpool, ScatterEqualsBruteForceOnTheHost) {
  check_scatter<uint8_t>();
  check_scatter<uint16_t>();
  check_scatter<float>();
  check_scatter<int64_t>();
}

// The winner at every position of the output: none yet.
struct Winners : GuardedBuffer {
  Winners(int64_t outputs, int seed)
      : GuardedBuffer(static_cast<size_t>(outputs) * sizeof(int64_t), flush_of(static_cast<uint32_t>(seed), 3)) {
    std::fill_n(as<int64_t>(), outputs, -1);
  }
};

template <class T>
void check_winners(int* runs) {
  for_each_unpooling<T>([&](Unpooling<T>& u, Naming, const std::string& what) {
    const Unpool p = u.problem();
    // Evenly spaced, as the gather asks for.
    if (u.outputs == 0 || p.input_strides.h != p.input_strides.w * p.lengths.w ||
        p.input_strides.d != p.input_strides.h * p.lengths.h) {
      return;
    }
    // A launch on the host goes from the last thread to the first; the other order is as good.
    Winners winners(u.outputs, *runs), ascending(u.outputs, *runs + 1);
    cuda::launch_unpool(UnpoolWinners{p.lengths, p.volume, p.indices, p.index_strides, winners.as<int64_t>()}, queue);
    const cuda::UnpoolWinnersAny kernel{{p.lengths, p.volume, p.indices, p.index_strides, ascending.as<int64_t>()},
                                        {p.lengths.c, p.lengths.d, p.lengths.h, p.lengths.w, false}};
    for (int64_t item = 0; item < p.lengths.elements(); ++item) kernel(item);
    ASSERT_TRUE(std::equal(winners.as<int64_t>(), winners.as<int64_t>() + u.outputs, ascending.as<int64_t>())) << what;
    ASSERT_TRUE(winners.canaries_alive() && ascending.canaries_alive());
    const FlatStrides source{p.input_strides.n, p.input_strides.c, p.input_strides.w};
    cuda::launch_unpool(gather_of_winners(p, winners.as<int64_t>(), p.input, source), queue);
    u.check(what);
    ++*runs;
  });
}

TEST(CudaUnpool, TheLastElementWinsWhateverTheOrderOfThreads) {
  int runs = 0;
  check_winners<uint8_t>(&runs);
  check_winners<uint16_t>(&runs);
  check_winners<float>(&runs);
  check_winners<int64_t>(&runs);
  EXPECT_GT(runs, 400);
}

template <class T>
void check_gather() {
  uint32_t seed = 0;
  for_each_unpooling<T>([&](Unpooling<T>& u, Naming, const std::string& what) {
    if (u.outputs == 0) return;
    const Unpool p = u.problem();
    for (int64_t i = 0; i < u.outputs; ++i) u.output.template as<T>()[i] = static_cast<T>(i * 7 + 1);
    const Strides strides = strides_of(Order::channels_first, u.lengths.c, {u.lengths.d, u.lengths.h, u.lengths.w});
    GuardedBuffer gathered(static_cast<size_t>(u.lengths.elements()) * sizeof(T), flush_of(++seed, 3));
    const UnpoolGather gather{u.lengths,        u.volume,  p.dtype,         p.output,
                              p.output_strides, p.indices, p.index_strides, gathered.as<void>(),
                              strides};
    cuda::launch_unpool(gather, queue);
    ASSERT_TRUE(gathered.canaries_alive());
    check_gathered(u, u.output.template as<T>(), gathered.as<T>(), strides, what);
  });
}

TEST(CudaUnpool, GatherEqualsBruteForceOnTheHost) {
  check_gather<uint8_t>();
  check_gather<uint16_t>();
  check_gather<float>();
  check_gather<int64_t>();
}

TEST(CudaUnpool, IndicesOutsideAreLeftOut) {
  const UnpoolCase c{1, 2, {2, 3, 8}, 100};
  Unpooling<float> u(c, Order::channels_first, Order::channels_first, false, Naming::ascending, 7);
  const int64_t outside[] = {-1, -2, 100, std::numeric_limits<int64_t>::min(), std::numeric_limits<int64_t>::max()};
  for (int64_t i = 0; i < u.lengths.elements(); ++i) u.indices.as<int64_t>()[i] = outside[i % std::size(outside)];
  const Unpool p = u.problem();
  std::memset(p.output, 0, static_cast<size_t>(u.outputs) * sizeof(float));
  Winners winners(u.outputs, 7);
  cuda::launch_unpool(p, queue);
  cuda::launch_unpool(UnpoolWinners{p.lengths, p.volume, p.indices, p.index_strides, winners.as<int64_t>()}, queue);
  for (int64_t i = 0; i < u.outputs; ++i) {
    ASSERT_EQ(u.output.as<float>()[i], 0.f);
    ASSERT_EQ(winners.as<int64_t>()[i], -1);
  }
  EXPECT_TRUE(u.output.canaries_alive());
}

}  // namespace
}  // namespace voxpool::testing
