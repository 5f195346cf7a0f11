#include <gtest/gtest.h>
#include <torch/torch.h>
#include <voxpool/voxpool.h>

// Small 3-D networks as people write them, with sizes from output_size.
namespace {

using at::Tensor;
using Sizes = std::vector<int64_t>;

// Spatial sizes after a convolution without padding.
Sizes after_convolution(Sizes sizes, int64_t kernel) {
  for (int64_t& size : sizes) size -= kernel - 1;
  return sizes;
}

int64_t features(int64_t channels, const Sizes& sizes) { return channels * sizes[0] * sizes[1] * sizes[2]; }

// Trains on fixed data; the loss has to fall.
void expect_to_learn(torch::nn::Sequential& net, int64_t in_channels) {
  torch::manual_seed(3);
  const Tensor x = at::randn({4, in_channels, 16, 16, 16});
  const Tensor target = at::tensor({0.F, 1.F, 0.F, 1.F}).unsqueeze(1);
  torch::optim::SGD optimizer(net->parameters(), 1e-4);
  std::vector<float> losses;
  for (int step = 0; step < 5; ++step) {
    optimizer.zero_grad();
    const Tensor loss = torch::binary_cross_entropy_with_logits(net->forward(x), target);
    loss.backward();
    optimizer.step();
    losses.push_back(loss.item<float>());
  }
  EXPECT_LT(losses.back(), losses.front());
}

TEST(PortedKerasNetworks, ConvolutionReluPool) {
  const Sizes pooled = voxpool::output_size(after_convolution({16, 16, 16}, 3), 2);
  EXPECT_EQ(pooled, (Sizes{7, 7, 7}));
  torch::nn::Sequential net(torch::nn::Conv3d(torch::nn::Conv3dOptions(1, 32, 3)), torch::nn::ReLU(),
                            voxpool::nn::MaxPool3d(2), torch::nn::Flatten(),
                            torch::nn::Linear(features(32, pooled), 1));
  expect_to_learn(net, 1);
}

TEST(PortedKerasNetworks, WithBatchNorm) {
  const Sizes pooled = voxpool::output_size(after_convolution({16, 16, 16}, 3), 2);
  torch::nn::Sequential net(torch::nn::Conv3d(torch::nn::Conv3dOptions(1, 32, 3)), torch::nn::BatchNorm3d(32),
                            torch::nn::ReLU(), voxpool::nn::MaxPool3d(2), torch::nn::Flatten(),
                            torch::nn::Linear(features(32, pooled), 1));
  expect_to_learn(net, 1);
}

TEST(PortedKerasNetworks, TwoConvolutions) {
  // 16 - 2 - 4 = 10 cells, 5 windows: counting 6 is the usual mistake in this port.
  const Sizes pooled = voxpool::output_size(after_convolution(after_convolution({16, 16, 16}, 3), 5), 2);
  EXPECT_EQ(pooled, (Sizes{5, 5, 5}));
  torch::nn::Sequential net(torch::nn::Conv3d(torch::nn::Conv3dOptions(1, 16, 3)),
                            torch::nn::Conv3d(torch::nn::Conv3dOptions(16, 32, 5)), voxpool::nn::MaxPool3d(2),
                            torch::nn::Flatten(), torch::nn::Linear(features(32, pooled), 1));
  expect_to_learn(net, 1);
}

TEST(Textbook, TwoChannelsOfTwoByTwo) {
  const Tensor x = at::tensor({1.F, 3.F, 2.F, 4.F, 5.F, 6.F, 7.F, 8.F}).view({1, 2, 1, 2, 2}).requires_grad_();
  const Tensor y = voxpool::max_pool3d(x, {1, 2, 2});
  EXPECT_TRUE(at::equal(y.flatten(), at::tensor({4.F, 8.F})));
  y.sum().backward();
  EXPECT_TRUE(at::equal(x.grad().flatten(), at::tensor({0.F, 0.F, 0.F, 1.F, 0.F, 0.F, 0.F, 1.F})));
}

TEST(Textbook, OneVolumeAndIdentity) {
  const Tensor x = at::tensor({1.F, 3.F, 2.F, 4.F, 5.F, 6.F, 8.F, 7.F}).view({1, 1, 2, 2, 2});
  const auto [y, i] = voxpool::max_pool3d_with_indices(x, 2);
  EXPECT_EQ(y.item<float>(), 8);
  EXPECT_EQ(i.item<int64_t>(), 6);
  EXPECT_TRUE(at::equal(voxpool::max_pool3d(x, 1, 1), x));
}

TEST(Textbook, SmallNetwork) {
  torch::manual_seed(4);
  const Sizes pooled = voxpool::output_size({2, 2, 2}, 2);
  torch::nn::Sequential net(torch::nn::Conv3d(torch::nn::Conv3dOptions(2, 4, 3).padding(1)), voxpool::nn::MaxPool3d(2),
                            torch::nn::Flatten(), torch::nn::Linear(features(4, pooled), 1));
  const Tensor y = net->forward(at::randn({3, 2, 2, 2, 2}));
  EXPECT_EQ(y.sizes(), at::IntArrayRef({3, 1}));
  y.sum().backward();
  EXPECT_TRUE(net->parameters()[0].grad().abs().sum().item<float>() > 0);
}

}  // namespace
