#include <gtest/gtest.h>
#include <torch/torch.h>
#include <voxpool/voxpool.h>

// Padding torch does not have, against explicit padding with -inf.
namespace {

using at::Tensor;
constexpr double minus_infinity = -std::numeric_limits<double>::infinity();

TEST(Padding, SamePadsTheExtraCellAtTheEnd) {
  const Tensor x = at::randn({2, 3, 7, 8, 9});
  // ceil(7 / 2) = 4 windows of 3 span 9 cells: one at each end. 8: 9 cells, the one missing at the end. 9: 11 cells.
  const Tensor padded = at::constant_pad_nd(x, {1, 1, 0, 1, 1, 1}, minus_infinity);
  const Tensor y = voxpool::max_pool3d(x, 3, 2, "same");
  EXPECT_EQ(y.sizes(), at::IntArrayRef({2, 3, 4, 4, 5}));
  EXPECT_TRUE(at::equal(y, at::max_pool3d(padded, 3, 2)));
  EXPECT_TRUE(at::equal(voxpool::max_pool3d(x, 3, 2, "valid"), at::max_pool3d(x, 3, 2)));
  EXPECT_TRUE(at::equal(std::get<0>(voxpool::max_pool3d_with_indices(x, 3, 2, "same")), y));
}

TEST(Padding, SameOverFewerAxes) {
  const Tensor x = at::randn({2, 3, 5, 5});
  EXPECT_TRUE(at::equal(voxpool::max_pool2d(x, 2, 2, "same"),
                        at::max_pool2d(at::constant_pad_nd(x, {0, 1, 0, 1}, minus_infinity), 2)));
  const Tensor line = at::randn({2, 3, 5});
  EXPECT_TRUE(at::equal(voxpool::max_pool1d(line, 2, 2, "same"),
                        at::max_pool1d(at::constant_pad_nd(line, {0, 1}, minus_infinity), 2)));
}

TEST(Padding, Pairs) {
  const Tensor x = at::randn({2, 3, 7, 8, 9});
  const Tensor padded = at::constant_pad_nd(x, {2, 0, 0, 1, 1, 2}, minus_infinity);
  EXPECT_TRUE(at::equal(voxpool::max_pool3d(x, 3, 2, {1, 2, 0, 1, 2, 0}), at::max_pool3d(padded, 3, 2)));
}

TEST(Padding, WindowWithoutTaps) {
  const Tensor x = at::ones({1, 1, 1, 1, 1}).requires_grad_();
  const auto [y, i] = voxpool::max_pool3d_with_indices(x, 2, {}, 1, 2);
  EXPECT_EQ(y.item<float>(), minus_infinity);
  EXPECT_EQ(i.item<int64_t>(), -1);
  y.backward();
  EXPECT_EQ(x.grad().item<float>(), 0);
}

TEST(Padding, OutputSize) {
  using Sizes = std::vector<int64_t>;
  EXPECT_EQ(voxpool::output_size({16, 32, 33}, 2, 2, "same"), (Sizes{8, 16, 17}));
  EXPECT_EQ(voxpool::output_size({16, 32, 33}, 2, 2, "valid"), (Sizes{8, 16, 16}));
  EXPECT_EQ(voxpool::output_size({16, 32, 33}, 2), (Sizes{8, 16, 16}));
  EXPECT_EQ(voxpool::output_size({7}, 3, 2, 1, 1, true), (Sizes{4}));
  EXPECT_EQ(voxpool::output_size({6, 9}, {2, 3}), (Sizes{3, 3}));
  EXPECT_THROW(voxpool::output_size({2, 2, 2}, 3), c10::Error);
  EXPECT_THROW(voxpool::output_size({2, 2, 2, 2}, 2), c10::Error);
}

}  // namespace
