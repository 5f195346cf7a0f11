#include <gtest/gtest.h>
#include <torch/torch.h>
#include <voxpool/voxpool.h>

#include <sstream>

// Unpooling from C++, against torch's own.
namespace {

using at::Tensor;
namespace F = torch::nn::functional;
namespace VF = voxpool::nn::functional;

void expect_same(const Tensor& actual, const Tensor& expected) {
  EXPECT_EQ(actual.strides(), expected.strides());
  EXPECT_TRUE(at::equal(actual, expected));
}

TEST(Unpool, SameResultsAsTorch) {
  torch::manual_seed(0);
  for (const Tensor& x : {at::randn({2, 3, 8, 6, 10}), at::randn({3, 8, 6, 10}),
                          at::randn({2, 3, 8, 6, 10}).contiguous(at::MemoryFormat::ChannelsLast3d)}) {
    const auto [y, i] = voxpool::max_pool3d_with_indices(x, 2);
    expect_same(voxpool::max_unpool3d(y, i, 2), F::max_unpool3d(y, i, F::MaxUnpool3dFuncOptions(2)));
    expect_same(VF::max_unpool3d(y, i, F::MaxUnpool3dFuncOptions(2)), voxpool::max_unpool3d(y, i, 2));
  }
  for (const Tensor& x : {at::randn({2, 3, 6, 10}), at::randn({3, 6, 10}),
                          at::randn({2, 3, 6, 10}).contiguous(at::MemoryFormat::ChannelsLast)}) {
    const auto [y, i] = voxpool::max_pool2d_with_indices(x, 2);
    expect_same(voxpool::max_unpool2d(y, i, 2), F::max_unpool2d(y, i, F::MaxUnpool2dFuncOptions(2)));
    expect_same(VF::max_unpool2d(y, i, F::MaxUnpool2dFuncOptions(2)), voxpool::max_unpool2d(y, i, 2));
  }
  const auto [y, i] = voxpool::max_pool1d_with_indices(at::randn({2, 3, 10}), 2);
  expect_same(voxpool::max_unpool1d(y, i, 2), F::max_unpool1d(y, i, F::MaxUnpool1dFuncOptions(2)));
  expect_same(VF::max_unpool1d(y, i, F::MaxUnpool1dFuncOptions(2)), voxpool::max_unpool1d(y, i, 2));
}

TEST(Unpool, OutputSize) {
  const Tensor x = at::randn({2, 3, 9, 8, 9});
  const auto [y, i] = voxpool::max_pool3d_with_indices(x, 2);
  EXPECT_EQ(voxpool::max_unpool3d(y, at::zeros_like(i), 2).sizes(), at::IntArrayRef({2, 3, 8, 8, 8}));
  const Tensor unpooled = voxpool::max_unpool3d(y, i, {2, 2, 2}, {}, 0, x.sizes());
  EXPECT_EQ(unpooled.sizes(), x.sizes());
  expect_same(voxpool::max_unpool3d(y, i, 2, 2, 0, at::IntArrayRef({9, 8, 9})), unpooled);
  EXPECT_TRUE(at::equal(at::where(unpooled == 0, unpooled, x), unpooled));
  EXPECT_THROW(voxpool::max_unpool3d(y, i, 2, 2, 0, at::IntArrayRef({10, 8, 9})), c10::ValueError);
  EXPECT_THROW(voxpool::max_unpool3d(y, i, 2, 2, 0, at::IntArrayRef({9, 9})), c10::ValueError);
  EXPECT_THROW(voxpool::max_unpool3d(y, i.to(at::kInt), 2), c10::Error);
  EXPECT_THROW(voxpool::max_unpool3d(y, i + 1000, 2), c10::Error);
}

TEST(Unpool, Gradients) {
  const Tensor x = at::randn({2, 3, 8, 6, 10});
  const auto [y, i] = voxpool::max_pool3d_with_indices(x, 2);
  const Tensor weights = at::randn(x.sizes());
  const auto gradient = [&, i = i](auto&& unpool) {
    const Tensor leaf = y.detach().clone().requires_grad_();
    return torch::autograd::grad({(unpool(leaf, i) * weights).sum()}, {leaf})[0];
  };
  expect_same(
      gradient([](const Tensor& a, const Tensor& b) { return voxpool::max_unpool3d(a, b, 2); }),
      gradient([](const Tensor& a, const Tensor& b) { return F::max_unpool3d(a, b, F::MaxUnpool3dFuncOptions(2)); }));
}

TEST(Unpool, Modules) {
  const Tensor x = at::randn({2, 3, 9, 9, 9});
  const auto options = torch::nn::MaxPool3dOptions(3).stride(2).padding(1);
  const auto back = torch::nn::MaxUnpool3dOptions(3).stride(2).padding(1);
  // Windows that overlap: what two of them share has one value, that of the maximum.
  const auto [y, i] = voxpool::nn::MaxPool3d(options)->forward_with_indices(x);
  voxpool::nn::MaxUnpool3d unpool(back);
  torch::nn::MaxUnpool3d reference(back);
  expect_same(unpool->forward(y, i), reference->forward(y, i));
  const std::vector<int64_t> size{2, 3, 9, 9, 9};
  expect_same(unpool->forward(y, i, size), reference->forward(y, i, size));

  const auto [y2, i2] = voxpool::max_pool2d_with_indices(at::randn({2, 3, 8, 6}), 2);
  expect_same(voxpool::nn::MaxUnpool2d(2)->forward(y2, i2), torch::nn::MaxUnpool2d(2)->forward(y2, i2));
  const auto [y1, i1] = voxpool::max_pool1d_with_indices(at::randn({2, 3, 8}), 2);
  expect_same(voxpool::nn::MaxUnpool1d(2)->forward(y1, i1), torch::nn::MaxUnpool1d(2)->forward(y1, i1));

  std::ostringstream text;
  text << voxpool::nn::MaxUnpool3d(2);
  EXPECT_EQ(text.str(), "voxpool::nn::MaxUnpool3d(kernel_size=[2, 2, 2], stride=[2, 2, 2], padding=[0, 0, 0])");
  const auto copy = std::dynamic_pointer_cast<voxpool::nn::MaxUnpool3dImpl>(unpool->clone());
  ASSERT_NE(copy, nullptr);
  expect_same(copy->forward(y, i), unpool->forward(y, i));
  expect_same(torch::nn::AnyModule(unpool).forward(y, i), unpool->forward(y, i));
}

}  // namespace
