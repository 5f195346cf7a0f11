#include <ATen/Parallel.h>
#include <gtest/gtest.h>
#include <torch/torch.h>
#include <voxpool/voxpool.h>

#include <filesystem>

// Derivatives of second order, what is kept for them, and threads.
namespace {

using at::Tensor;

TEST(Autograd, DoubleBackwardMatchesTorch) {
  const Tensor x = at::randn({2, 3, 5, 6, 7}, at::kDouble);
  const auto second_order = [&](auto&& pool) {
    const Tensor leaf = x.detach().clone().requires_grad_();
    const Tensor y = pool(leaf);
    const Tensor first = torch::autograd::grad({y.pow(3).sum()}, {leaf}, {}, true, /*create_graph=*/true)[0];
    return torch::autograd::grad({first.pow(2).sum()}, {leaf})[0];
  };
  const Tensor actual = second_order([](const Tensor& t) { return voxpool::max_pool3d(t, 3, 2, 1); });
  EXPECT_GT(actual.abs().sum().item<double>(), 0);
  EXPECT_TRUE(at::allclose(actual, second_order([](const Tensor& t) { return at::max_pool3d(t, 3, 2, 1); })));
}

TEST(Autograd, ChangedIndicesLeaveTheGradientAlone) {
  const Tensor x = at::randn({1, 2, 4, 4, 4}).requires_grad_();
  const auto [y, indices] = voxpool::max_pool3d_with_indices(x, 2);
  EXPECT_FALSE(indices.requires_grad());
  indices.zero_();
  y.sum().backward();
  EXPECT_TRUE(at::equal(x.grad().amax({2, 3, 4}), at::ones({1, 2})));
  EXPECT_EQ(x.grad().sum().item<float>(), 16);
}

TEST(Autograd, IntegersNeverRequireGrad) {
  EXPECT_FALSE(voxpool::max_pool3d(at::ones({1, 1, 2, 2, 2}, at::kInt), 2).requires_grad());
}

TEST(Autograd, InputIsNotKept) {
  Tensor y;
  c10::weak_intrusive_ptr<c10::StorageImpl> storage(
      c10::make_intrusive<c10::StorageImpl>(c10::StorageImpl::use_byte_size_t(), 0, at::DataPtr(), nullptr, false));
  {
    const Tensor leaf = at::randn({1, 1, 4, 4, 4}).requires_grad_();
    const Tensor input = leaf * 2;  // saves neither operand's result
    storage = c10::weak_intrusive_ptr<c10::StorageImpl>(
        c10::intrusive_ptr<c10::StorageImpl>::reclaim_copy(input.storage().unsafeGetStorageImpl()));
    y = voxpool::max_pool3d(input, 2);
  }
  EXPECT_TRUE(y.requires_grad());
  EXPECT_TRUE(storage.expired());
}

int64_t process_threads() {
  const std::filesystem::directory_iterator tasks("/proc/self/task");
  return std::distance(begin(tasks), end(tasks));
}

TEST(Threads, ParallelLoopUsesMoreThanOne) {
  const Tensor x = at::empty({2, 8, 16, 32, 32});
  std::fill_n(x.mutable_data_ptr<float>(), x.numel(), 1.F);
  // One more than can wait in the pool already, so that a loop that is shared has to start a thread.
  const int64_t before = process_threads();
  const int threads = at::get_num_threads();
  at::set_num_threads(static_cast<int>(before) + 1);
  voxpool::max_pool3d(x, 2);
  at::set_num_threads(threads);
  EXPECT_GT(process_threads(), before);
}

}  // namespace
