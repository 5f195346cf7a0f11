#include <gtest/gtest.h>

#include <string_view>

#include "backward_check.h"
#include "cuda/kernel_table.h"
#include "forward_check.h"

// Every CUDA kernel, its own source, run on the host one thread after the other, against brute force: what a kernel
// computes and which addresses it touches need no device.
namespace voxpool::testing {
namespace {

// A device that is full at once, so that threads go through whole volumes, or one that wants more threads than there
// are, so that they own single planes.
cuda::Queue queue(uint32_t seed) { return {nullptr, static_cast<int>(seed % 2)}; }

template <class Problem>
std::vector<Runner<Problem>> runners(cuda::KernelList<Problem> kernels, Counts* counts) {
  std::vector<Runner<Problem>> all;
  for (const cuda::Kernel<Problem>& kernel : kernels) {
    all.push_back({kernel.name, kernel.refusal, [&kernel, counts](const Problem& p, uint32_t seed) {
                     ++(*counts)[kernel.name];
                     const Geometry& g = p.geometry;
                     if (g.batch > 0) kernel.launch(p, queue(seed));
                   }});
  }
  return all;
}

// Geometries for the kernels with fixed windows: rows that are whole vectors and rows that are not, channels likewise.
std::vector<Case> fixed_cases() {
  const auto axis = [](int64_t k, int64_t s, int64_t begin, int64_t end, int64_t d) {
    return WindowAxis{k, s, begin, end, d};
  };
  std::vector<Case> cases;
  const auto add = [&](const WindowAxis& d, const WindowAxis& hw) {
    for (const bool ceil_mode : {false, true}) {
      const Window window{{d, hw, hw}, ceil_mode, PaddingRule::pairs, 3};
      cases.push_back({2, 3, {5, 6, 16}, window});
      cases.push_back({1, 8, {8, 7, 24}, window});
      cases.push_back({1, 2, {9, 5, 40}, window});
      cases.push_back({2, 16, {7, 5, 9}, window});
      cases.push_back({1, 5, {6, 9, 7}, window});
    }
  };
  const WindowAxis one = axis(1, 1, 0, 0, 1);
  add(axis(2, 2, 0, 0, 1), axis(2, 2, 0, 0, 1));
  add(axis(2, 2, 1, 1, 1), axis(2, 2, 1, 1, 1));
  add(one, axis(2, 2, 0, 0, 1));
  add(one, axis(3, 2, 1, 1, 1));
  for (const int64_t stride : {1, 2}) {
    add(axis(3, stride, 1, 1, 1), axis(3, stride, 1, 1, 1));
    add(axis(3, stride, 0, 0, 1), axis(3, stride, 0, 0, 1));
    add(axis(3, stride, 0, 1, 1), axis(3, stride, 0, 1, 1));
    add(axis(3, stride, 2, 2, 1), axis(3, stride, 2, 2, 1));
    add(axis(3, stride, 1, 2, 1), axis(3, stride, 1, 2, 1));
  }
  add(axis(3, 2, 1, 1, 3), axis(3, 2, 1, 1, 3));
  add(axis(3, 2, 0, 3, 3), axis(3, 2, 0, 3, 3));
  std::erase_if(cases, [](const Case& c) {
    try {
      c.geometry();
      return false;
    } catch (const GeometryError&) {
      return true;  // no window fits
    }
  });
  return cases;
}

// Calls f(case, order, seed). Each of the fixed cases lies in memory in the four orders that decide between their
// kernels; the others, which most kernels refuse, in any one.
template <class F>
void for_each_case(F&& f) {
  uint32_t seed = 0;
  for (const Case& c : fixed_cases()) {
    for (const Order order :
         {Order::channels_first, Order::channels_last, Order::channels_first_view, Order::channels_last_view}) {
      f(c, order, ++seed);
      if (::testing::Test::HasFatalFailure()) return;
    }
    ++seed;  // so that an order does not always meet the same buffers and chunks
  }
  std::vector<Case> others = random_cases(60, 23);
  for (const Case& c : named_cases()) {
    if (enumerable(c)) others.push_back(c);
  }
  for (const Case& c : others) {
    f(c, all_orders[seed % std::size(all_orders)], seed);
    ++seed;
    if (::testing::Test::HasFatalFailure()) return;
  }
}

TEST(CudaKernels, ForwardEqualsBruteForceOnTheHost) {
  Counts counts;
  int runs = 0;
  for_each_case([&](const Case& c, Order order, uint32_t seed) {
    compare_forward(c, order, seed, runners(cuda::kernel_table().forward, &counts), &runs);
  });
  for (const char* name : {"columns", "channels", "scalar", "generic"}) EXPECT_GT(counts[name], 300) << name;
}

TEST(CudaKernels, BackwardEqualsAScatterOnTheHost) {
  Counts counts;
  int runs = 0;
  const cuda::KernelTable& table = cuda::kernel_table();
  for_each_case([&](const Case& c, Order order, uint32_t seed) {
    compare_backward(c, order, seed, runners(table.backward, &counts), runners(table.gather, &counts).back(),
                     runners(table.tap_indices, &counts).back(), &runs);
  });
  for (const char* name : {"columns", "channels", "scalar", "generic"}) EXPECT_GT(counts[name], 100) << name;
}

TEST(CudaKernels, WindowsWithMoreTapsThanAnInt32Counts) {
  Counts counts;
  check_enormous_windows(runners(cuda::kernel_table().forward, &counts));
  EXPECT_GT(counts["generic"], 0);
}

TEST(CudaKernels, ForeignTapsAreNeverFollowed) {
  Counts counts;
  check_foreign_taps(runners(cuda::kernel_table().backward, &counts));
  for (const char* name : {"columns", "channels", "scalar", "generic"}) EXPECT_GT(counts[name], 0) << name;
}

}  // namespace
}  // namespace voxpool::testing
