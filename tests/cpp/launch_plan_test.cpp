#include "cuda/launch_plan.h"

#include <gtest/gtest.h>

#include <random>
#include <vector>

#include "cases.h"
#include "cuda/fixed_window.h"
#include "cuda/kernels/fixed_arguments.h"
#include "tensors.h"

// How CUDA launches divide a problem, over many geometries: nothing is missing, nothing is done twice.
namespace voxpool::testing {
namespace {

Forward forward(const Case& c, Order order) {
  const Geometry g = c.geometry();
  const Strides in = strides_of(order, c.channels, c.in);
  const Strides out = strides_of(dense(order), c.channels, {g.d().out, g.h().out, g.w().out});
  return {g, ScalarType::f32, tap_code(g), nullptr, in, nullptr, nullptr, nullptr, out};
}

// Chunks cover the planes once, in order, and none is empty.
TEST(LaunchPlan, ChunksCoverEveryPlaneOnce) {
  for (int64_t planes = 1; planes < 70; ++planes) {
    for (const int64_t lines : {1, 3, 100, 5000, 1000000}) {
      for (const int64_t fill : {0, 1024, 135168}) {
        for (const bool overlapping : {false, true}) {
          const cuda::Threads threads{1, 1, planes, 1, lines, false};
          const cuda::Chunks chunks = cuda::plan_chunks(threads, overlapping, fill);
          ASSERT_GE(chunks.depth, 1);
          ASSERT_LT((chunks.count - 1) * chunks.depth, planes);
          ASSERT_GE(chunks.count * chunks.depth, planes);
        }
      }
    }
  }
}

// Long chunks where the device is full without cutting, many where it is not.
TEST(LaunchPlan, ChunksAreAsLongAsFillsTheDevice) {
  const int64_t fill = cuda::threads_to_fill(132);
  const cuda::Threads many{8, 64, 64, 56, 28, false}, few{1, 1, 64, 16, 4, false};
  EXPECT_EQ(cuda::plan_chunks(many, true, fill).count, 1);
  EXPECT_EQ(cuda::plan_chunks(few, true, fill).depth, 1);
  EXPECT_EQ(cuda::plan_chunks(many, false, fill).depth, 4);
  EXPECT_EQ(cuda::plan_chunks(few, false, fill).depth, 1);
}

// Every position of a launch is met once, whatever comes first.
TEST(LaunchPlan, ItemsNumberEveryPositionOnce) {
  for (const bool channels_inner : {false, true}) {
    const cuda::Threads threads{2, 3, 5, 4, 7, channels_inner};
    const cuda::Chunks chunks = cuda::plan_chunks(threads, true, 200);
    ASSERT_GT(chunks.count, 1);
    const cuda::Items items = cuda::items(threads, chunks);
    std::vector<int> seen(size_t{2} * 3 * chunks.count * 4 * 7);
    for (uint32_t item = 0; item < seen.size(); ++item) {
      const cuda::Position at = items.position(item);
      ASSERT_TRUE(at.n < 2 && at.c < 3 && at.chunk < chunks.count && at.h < 4 && at.w < 7);
      ++seen[(((at.n * 3 + at.c) * chunks.count + at.chunk) * 4 + at.h) * 7 + at.w];
      const cuda::Position next = items.position(item + 1);
      const bool neighbours = channels_inner ? next.c != at.c : next.w != at.w;
      ASSERT_TRUE(neighbours || item + 1 == seen.size());
    }
    for (const int count : seen) ASSERT_EQ(count, 1);
  }
}

// Forward threads own every output, backward threads every input: once.
TEST(LaunchPlan, ThreadsOwnEveryElementOnce) {
  int fixed = 0;
  for (const Case& c : random_cases(3000, 41)) {
    const Forward f = forward(c, Order::channels_first);
    const Geometry& g = f.geometry;
    const cuda::Threads outputs = cuda::plan_threads(f, {});
    ASSERT_EQ(outputs.count(), g.batch * g.channels * g.output_volume());
    if (g.w().stride <= 2) {
      const int64_t columns = cuda::plan_threads(f, {.columns = 4}).columns, owned = 4 / g.w().stride;
      ASSERT_GE(columns * owned, g.w().out);
      ASSERT_LT((columns - 1) * owned, g.w().out);
    }
    cuda::with_fixed_window(g, [&](auto) { ++fixed; });

    const Backward b{g, ScalarType::f32, f.code, nullptr, nullptr, f.output_strides, nullptr, f.input_strides};
    const cuda::Threads groups = cuda::plan_threads(b, {});
    const int64_t counts[] = {groups.planes, groups.rows, groups.columns};
    for (int axis = 0; axis < 3; ++axis) {
      const Axis& a = g.axes[axis];
      std::vector<int> owners(a.in);
      for (int64_t group = 0; group < counts[axis]; ++group) {
        for (int64_t r = 0; r < a.stride; ++r) {
          const int64_t i = group * a.stride - a.pad_begin + r;
          if (i >= 0 && i < a.in) ++owners[i];
        }
      }
      for (const int count : owners) ASSERT_EQ(count, 1) << c.name();
    }
  }
  EXPECT_GT(fixed, 0);
}

TEST(LaunchPlan, VolumesOf32BitsAreToldFromLargerOnes) {
  const Strides dense{0, 0, int64_t{1} << 22, int64_t{1} << 11, 1};
  EXPECT_TRUE(cuda::fits_int32({512, 2048, 2048}, dense));
  EXPECT_FALSE(cuda::fits_int32({513, 2048, 2048}, dense));
  EXPECT_FALSE(cuda::fits_int32({3, 1, 1}, {0, 0, int64_t{1} << 30, 1, 1}));  // the last is element 2^31
  EXPECT_FALSE(cuda::fits_int32({2, 1, 1}, {0, 0, int64_t{1} << 31, 1, 1}));
}

TEST(LaunchPlan, AlignmentFollowsTheStridesThatAreUsed) {
  EXPECT_TRUE(cuda::keeps_alignment(4, {2, 3, 5, 7}, {840, 280, 56, 8}));
  EXPECT_FALSE(cuda::keeps_alignment(4, {2, 3, 5, 7}, {735, 245, 49, 7}));
  EXPECT_TRUE(cuda::keeps_alignment(4, {1, 3, 5, 7}, {735, 280, 56, 8}));
  const float buffer[8] = {};
  const auto begin = reinterpret_cast<uintptr_t>(buffer);
  const float* aligned = buffer + (16 - begin % 16) % 16 / sizeof(float);
  EXPECT_TRUE(cuda::is_aligned(aligned, 16));
  EXPECT_FALSE(cuda::is_aligned(aligned + 1, 16));
  EXPECT_TRUE(cuda::is_aligned(nullptr, 16));
}

}  // namespace
}  // namespace voxpool::testing
