#include <ATen/record_function.h>
#include <gtest/gtest.h>
#include <torch/script.h>
#include <torch/torch.h>
#include <voxpool/voxpool.h>

#include <sstream>
#include <thread>

// voxpool::enable(): programs that know nothing of voxpool run its kernels.
namespace {

using at::Tensor;
namespace F = torch::nn::functional;

constexpr const char* torchs_node = "MaxPool3DWithIndicesBackward0";
constexpr const char* our_node = "VoxpoolMaxPool3dBackward";

template <class Pool>
std::string node_of(Pool&& pool) {
  return pool(at::randn({1, 2, 4, 4, 4}).requires_grad_()).grad_fn()->name();
}

std::string node() {
  return node_of([](const Tensor& x) { return at::max_pool3d(x, 2); });
}

// Names of the operators that run while it lives, in this thread.
class Operators {
 public:
  Operators()
      : handle_(at::addThreadLocalCallback(at::RecordFunctionCallback(start).scopes({
            at::RecordScope::FUNCTION,
        }))) {
    names.clear();
  }
  ~Operators() { at::removeCallback(handle_); }
  bool ran(const std::string& name) const { return std::find(names.begin(), names.end(), name) != names.end(); }

 private:
  static std::unique_ptr<at::ObserverContext> start(const at::RecordFunction& function) {
    names.emplace_back(function.name());
    return nullptr;
  }

  inline static thread_local std::vector<std::string> names;
  at::CallbackHandle handle_;
};

TEST(Enable, TorchsModulesAndFunctions) {
  const Tensor x = at::randn({2, 3, 8, 9, 10});
  torch::nn::MaxPool3d pool3d(torch::nn::MaxPool3dOptions(3).stride(2).padding(1));
  torch::nn::MaxPool2d pool2d(2);
  torch::nn::MaxPool1d pool1d(2);
  const auto run = [&] {
    const Tensor leaf = x.detach().clone().requires_grad_();
    pool3d->forward(leaf).square().sum().backward();
    const auto [y, indices] = pool3d->forward_with_indices(x);
    const Tensor pooled = F::max_pool3d(x, F::MaxPool3dFuncOptions(2).ceil_mode(true));
    return std::vector<Tensor>{
        leaf.grad(), y, indices, pool3d->forward(x), pool2d->forward(x[0]), pool1d->forward(x[0][0]), pooled};
  };
  const std::vector<Tensor> expected = run();
  const voxpool::EnabledGuard on;
  const std::vector<Tensor> actual = run();
  for (size_t i = 0; i < expected.size(); ++i) {
    EXPECT_TRUE(at::equal(actual[i], expected[i])) << i;
    EXPECT_EQ(actual[i].strides(), expected[i].strides()) << i;
  }
  EXPECT_EQ(node_of([&](const Tensor& leaf) { return pool3d->forward(leaf); }), our_node);

  const Operators operators;
  pool3d->forward(x);
  pool2d->forward(x[0]);
  pool1d->forward(x[0][0]);
  EXPECT_TRUE(operators.ran("voxpool::max_pool3d"));
  EXPECT_TRUE(operators.ran("voxpool::max_pool2d"));
  EXPECT_TRUE(operators.ran("voxpool::max_pool1d"));
  EXPECT_FALSE(operators.ran("aten::max_pool3d_with_indices"));
  pool3d->forward_with_indices(x);
  EXPECT_TRUE(operators.ran("voxpool::max_pool3d_with_indices"));
}

TEST(Enable, IsTakenBackExactly) {
  EXPECT_FALSE(voxpool::is_enabled());
  EXPECT_EQ(node(), torchs_node);
  voxpool::enable();
  EXPECT_TRUE(voxpool::is_enabled());
  EXPECT_EQ(node(), our_node);
  voxpool::disable();
  EXPECT_FALSE(voxpool::is_enabled());
  EXPECT_EQ(node(), torchs_node);
  const Operators operators;
  const c10::InferenceMode inference;
  at::max_pool3d(at::ones({1, 1, 2, 2, 2}), 2);
  EXPECT_TRUE(operators.ran("aten::max_pool3d_with_indices"));
  EXPECT_FALSE(operators.ran("voxpool::max_pool3d"));
}

TEST(Enable, GuardsNestAndEndWithAnException) {
  const auto fail = [] {
    const voxpool::EnabledGuard outer;
    {
      const voxpool::EnabledGuard inner;
      EXPECT_EQ(node(), our_node);
    }
    EXPECT_EQ(node(), our_node);
    voxpool::disable();
    EXPECT_EQ(node(), our_node);
    at::max_pool3d(at::ones({1, 1, 2, 2, 2}), 3);
  };
  EXPECT_THROW(fail(), c10::Error);
  EXPECT_EQ(node(), torchs_node);

  voxpool::enable();
  { const voxpool::EnabledGuard guard; }
  EXPECT_EQ(node(), our_node);
  voxpool::disable();
}

TEST(Enable, HoldsInEveryThread) {
  const voxpool::EnabledGuard on;
  std::string other;
  std::thread([&] { other = node(); }).join();
  EXPECT_EQ(other, our_node);
}

TEST(Enable, TorchScriptModel) {
  torch::jit::Module module("pool");
  module.define(R"(
def forward(self, x):
    return torch.max_pool3d(torch.relu(x), [3, 3, 3], [2, 2, 2], [1, 1, 1])
)");
  std::stringstream file;
  module.save(file);
  torch::jit::Module model = torch::jit::load(file);
  const auto run = [&](const Tensor& x) { return model.forward({x}).toTensor(); };

  const Tensor x = at::randn({2, 3, 8, 9, 10});
  const Tensor expected = run(x);
  EXPECT_EQ(node_of(run), torchs_node);
  {
    const voxpool::EnabledGuard on;
    for (int repeat = 0; repeat < 4; ++repeat) {  // TorchScript optimises what it has run before
      EXPECT_TRUE(at::equal(run(x), expected));
      EXPECT_EQ(node_of(run), our_node);
    }
    const Operators operators;
    const c10::InferenceMode inference;
    run(x.clone());
    EXPECT_TRUE(operators.ran("voxpool::max_pool3d"));
    EXPECT_FALSE(operators.ran("aten::max_pool3d_with_indices"));
  }
  EXPECT_EQ(node_of(run), torchs_node);
}

TEST(Enable, LeavesTheRestToTorch) {
  const Tensor x = at::randn({2, 3, 8, 8});
  const Tensor quantised = at::quantize_per_tensor(x, 0.1, 0, at::kQUInt8);
  const auto pool = [](const Tensor& t) { return at::max_pool2d(t, {2, 2}, {2, 2}, {0, 0}, {1, 1}); };
  const Tensor expected = pool(quantised).int_repr();
  const auto error_of = [](const Tensor& input) -> std::string {
    try {
      at::max_pool3d(input, 2);
      return "no error";
    } catch (const std::exception& error) {
      return std::string(error.what()).substr(0, 80);
    }
  };
  const Tensor sparse = at::ones({1, 1, 2, 2, 2}).to_sparse();
  const std::string undefined_error = error_of({}), sparse_error = error_of(sparse);

  const voxpool::EnabledGuard on;
  const Operators operators;
  EXPECT_TRUE(at::equal(pool(quantised).int_repr(), expected));
  EXPECT_EQ(error_of({}), undefined_error);
  EXPECT_EQ(error_of(sparse), sparse_error);
  EXPECT_FALSE(operators.ran("voxpool::max_pool2d"));
  EXPECT_FALSE(operators.ran("voxpool::max_pool3d"));
}

}  // namespace
