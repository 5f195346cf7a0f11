#include <ATen/Parallel.h>
#include <gtest/gtest.h>
#include <torch/torch.h>
#include <voxpool/voxpool.h>

#include <atomic>
#include <cstdlib>
#include <new>

// Memory that a thread of a parallel loop does not get: an exception for the caller, and nothing else.
namespace {

enum class Refused { nobody, workers, everybody };

std::atomic<Refused> refused{Refused::nobody};
std::atomic<int> refusals{0};

}  // namespace

// What the kernels ask for while they run; this program's definition serves the library as well.
void* operator new(size_t bytes, std::align_val_t alignment) {
  const Refused who = refused;
  if (who == Refused::everybody || (who == Refused::workers && at::get_thread_num() > 0)) {
    ++refusals;
    throw std::bad_alloc();
  }
  const size_t line = static_cast<size_t>(alignment);
  void* const memory = std::aligned_alloc(line, (bytes + line - 1) / line * line);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}
void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory, size_t, std::align_val_t) noexcept { std::free(memory); }

namespace {

using at::Tensor;

class Refusing {
 public:
  explicit Refusing(Refused who) { refused = who; }
  ~Refusing() { refused = Refused::nobody; }
};

class FourThreads {
 public:
  FourThreads() { at::set_num_threads(4); }
  ~FourThreads() { at::set_num_threads(before_); }

 private:
  const int before_ = at::get_num_threads();
};

// Rows of vectors in both layouts, and rows so short that the kernels work on copies.
std::vector<Tensor> inputs() {
  const Tensor wide = at::randn({2, 8, 12, 24, 40});
  return {wide, wide.contiguous(at::MemoryFormat::ChannelsLast3d), at::randn({4, 64, 8, 7, 7})};
}

// Calls `pool` while memory is refused, and again afterwards.
template <class Pool>
void expect_to_survive(const Pool& pool, const Tensor& expected) {
  for (const Refused who : {Refused::workers, Refused::everybody}) {
    const int before = refusals;
    {
      const Refusing refusing(who);
      EXPECT_THROW(pool(), std::bad_alloc);
    }
    EXPECT_GT(refusals, before);
    EXPECT_TRUE(at::equal(pool(), expected));
  }
}

TEST(Allocation, ScratchThatIsRefusedIsAnExceptionOfTheCall) {
  torch::manual_seed(5);
  const FourThreads threads;
  for (const Tensor& x : inputs()) {
    for (const int64_t kernel : {2, 3}) {
      const auto values = [&] { return voxpool::max_pool3d(x, kernel, 2, kernel / 2); };
      const auto indices = [&] { return std::get<1>(voxpool::max_pool3d_with_indices(x, kernel, 2, kernel / 2)); };
      expect_to_survive(values, values());
      expect_to_survive(indices, indices());

      const Tensor leaf = x.detach().requires_grad_();
      const auto pooled = [&] { return voxpool::max_pool3d(leaf, kernel, 2, kernel / 2); };
      expect_to_survive(pooled, values());
      const Tensor y = pooled(), weights = at::randn_like(y);
      const auto gradient = [&] { return torch::autograd::grad({y}, {leaf}, {weights}, /*retain_graph=*/true)[0]; };
      expect_to_survive(gradient, gradient());
    }
  }
}

}  // namespace
