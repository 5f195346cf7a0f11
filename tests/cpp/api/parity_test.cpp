#include <gtest/gtest.h>
#include <torch/torch.h>
#include <voxpool/voxpool.h>

// The ops against torch's own: values, indices, strides and gradients.
namespace {

using at::Tensor;
using IntList = std::vector<int64_t>;

struct Case {
  IntList shape;
  IntList kernel_size, stride, padding, dilation;
  bool ceil_mode;
};

const Case cases[] = {
    {{2, 3, 8, 9, 10}, {2}, {}, {0}, {1}, false},
    {{2, 3, 8, 9, 10}, {1, 2, 2}, {1, 2, 2}, {0}, {1}, false},
    {{2, 3, 8, 9, 10}, {3}, {2}, {1}, {1}, false},
    {{2, 3, 8, 9, 10}, {3}, {2}, {1}, {1}, true},
    {{1, 17, 5, 6, 7}, {3, 2, 1}, {1, 2, 3}, {1, 1, 0}, {1}, false},
    {{2, 4, 9, 9, 9}, {3}, {2}, {1}, {2}, false},
    {{3, 8, 4, 6, 8}, {2}, {3}, {0}, {1}, true},
    {{5, 8, 9, 10}, {3}, {1}, {1}, {1}, false},
    {{0, 3, 8, 8, 8}, {2}, {}, {0}, {1}, false},
    {{1, 2, 8, 8, 8}, {7}, {1}, {3}, {1}, false},
};

enum class Layout { contiguous, channels_last, crop, permuted };
constexpr Layout layouts[] = {Layout::contiguous, Layout::channels_last, Layout::crop, Layout::permuted};

Tensor with_layout(const Tensor& x, Layout layout) {
  switch (layout) {
    case Layout::contiguous:
      return x;
    case Layout::channels_last: {
      const Tensor batched = x.dim() == 5 ? x : x.unsqueeze(0);
      const Tensor last = batched.contiguous(at::MemoryFormat::ChannelsLast3d);
      return x.dim() == 5 ? last : last.squeeze(0);
    }
    case Layout::crop:
      return at::constant_pad_nd(x, {1, 2, 2, 1}).slice(-1, 1, 1 + x.size(-1)).slice(-2, 2, 2 + x.size(-2));
    case Layout::permuted:
      return x.transpose(-1, -3).contiguous().transpose(-1, -3);
  }
  return x;
}

Tensor values(const IntList& shape, at::ScalarType type) {
  // Few distinct values: many ties.
  return at::randint(-4, 5, shape, at::kFloat).to(type);
}

void expect_same(const Tensor& actual, const Tensor& expected) {
  EXPECT_EQ(actual.sizes(), expected.sizes());
  EXPECT_EQ(actual.strides(), expected.strides());
  EXPECT_EQ(actual.scalar_type(), expected.scalar_type());
  EXPECT_TRUE(at::equal(actual, expected));
}

TEST(Parity, ForwardAndIndices) {
  torch::manual_seed(0);
  for (const at::ScalarType type : {at::kFloat, at::kDouble, at::kBFloat16, at::kHalf, at::kInt, at::kLong}) {
    for (const Case& c : cases) {
      for (const Layout layout : layouts) {
        const Tensor x = with_layout(values(c.shape, type), layout);
        const auto [y, i] = at::max_pool3d_with_indices(x, c.kernel_size, c.stride, c.padding, c.dilation, c.ceil_mode);
        expect_same(voxpool::max_pool3d(x, c.kernel_size, c.stride, c.padding, c.dilation, c.ceil_mode), y);
        const auto [output, indices] =
            voxpool::max_pool3d_with_indices(x, c.kernel_size, c.stride, c.padding, c.dilation, c.ceil_mode);
        expect_same(output, y);
        expect_same(indices, i);
      }
    }
  }
}

TEST(Parity, Gradient) {
  torch::manual_seed(1);
  for (const Case& c : cases) {
    for (const Layout layout : layouts) {
      const Tensor x = with_layout(values(c.shape, at::kFloat), layout);
      const auto gradient = [&](auto&& pool) {
        const Tensor leaf = x.detach().clone().requires_grad_();
        const Tensor y = pool(leaf, c.kernel_size, c.stride, c.padding, c.dilation, c.ceil_mode);
        const Tensor weights = at::arange(y.numel(), at::kFloat).view(y.sizes());
        return torch::autograd::grad({(y * weights).sum()}, {leaf})[0];
      };
      expect_same(gradient([](const auto&... a) { return voxpool::max_pool3d(a...); }),
                  gradient([](const auto&... a) { return at::max_pool3d(a...); }));
    }
  }
}

TEST(Parity, FewerAxes) {
  torch::manual_seed(2);
  for (const IntList& shape : {IntList{2, 3, 7, 8}, IntList{3, 7, 8}}) {
    for (const bool last : {false, true}) {
      const Tensor x =
          last ? values(shape, at::kFloat).transpose(-1, -3).contiguous().transpose(-1, -3) : values(shape, at::kFloat);
      const auto [y, i] = at::max_pool2d_with_indices(x, {2, 3}, {2, 3}, {1, 1});
      const auto [output, indices] = voxpool::max_pool2d_with_indices(x, {2, 3}, {2, 3}, {1, 1});
      expect_same(voxpool::max_pool2d(x, {2, 3}, {2, 3}, {1, 1}), y);
      expect_same(output, y);
      expect_same(indices, i);
    }
  }
  for (const IntList& shape : {IntList{2, 3, 8}, IntList{3, 8}}) {
    const Tensor x = values(shape, at::kFloat);
    const auto [y, i] = at::max_pool1d_with_indices(x, 3, 2, 1);
    const auto [output, indices] = voxpool::max_pool1d_with_indices(x, 3, 2, 1);
    expect_same(voxpool::max_pool1d(x, 3, 2, 1), y);
    expect_same(output, y);
    expect_same(indices, i);
  }
}

TEST(Parity, NaNAndInfinity) {
  Tensor x = at::full({1, 1, 4, 4, 4}, -std::numeric_limits<float>::infinity());
  x.view({64})[0] = std::numeric_limits<float>::quiet_NaN();
  x.view({64})[21] = std::numeric_limits<float>::quiet_NaN();
  const auto [y, i] = at::max_pool3d_with_indices(x, 2);
  const auto [output, indices] = voxpool::max_pool3d_with_indices(x, 2);
  EXPECT_TRUE(at::allclose(output, y, 0, 0, /*equal_nan=*/true));
  expect_same(indices, i);
}

}  // namespace
