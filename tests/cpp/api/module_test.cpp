#include <gtest/gtest.h>
#include <torch/torch.h>
#include <voxpool/voxpool.h>

#include <sstream>

// voxpool::nn in the place of torch::nn.
namespace {

using at::Tensor;
namespace F = torch::nn::functional;

TEST(Modules, SameResultsAsTorch) {
  const Tensor x = at::randn({2, 3, 8, 9, 10});
  const auto options = torch::nn::MaxPool3dOptions({3, 2, 2}).stride({2, 2, 1}).padding({1, 0, 1}).ceil_mode(true);
  voxpool::nn::MaxPool3d pool(options);
  torch::nn::MaxPool3d reference(options);
  EXPECT_TRUE(at::equal(pool->forward(x), reference->forward(x)));
  const auto [y, i] = pool->forward_with_indices(x);
  const auto [expected, expected_indices] = reference->forward_with_indices(x);
  EXPECT_TRUE(at::equal(y, expected));
  EXPECT_TRUE(at::equal(i, expected_indices));

  EXPECT_TRUE(at::equal(voxpool::nn::MaxPool3d(2)->forward(x), torch::nn::MaxPool3d(2)->forward(x)));
  EXPECT_TRUE(at::equal(voxpool::nn::MaxPool2d(2)->forward(x[0]), torch::nn::MaxPool2d(2)->forward(x[0])));
  EXPECT_TRUE(at::equal(voxpool::nn::MaxPool1d(2)->forward(x[0][0]), torch::nn::MaxPool1d(2)->forward(x[0][0])));
}

TEST(Modules, Same) {
  const Tensor x = at::randn({2, 3, 16, 32, 33});
  voxpool::nn::MaxPool3d pool(torch::nn::MaxPool3dOptions(2).stride(2), "same");
  EXPECT_EQ(pool->forward(x).sizes(), at::IntArrayRef({2, 3, 8, 16, 17}));
  EXPECT_TRUE(at::equal(pool->forward(x), voxpool::max_pool3d(x, 2, 2, "same")));
}

TEST(Modules, PrettyPrint) {
  const auto print = [](const auto& module) {
    std::ostringstream text;
    text << module;
    return text.str();
  };
  EXPECT_EQ(print(voxpool::nn::MaxPool3d(torch::nn::MaxPool3dOptions(3).stride(2).padding(1))),
            "voxpool::nn::MaxPool3d(kernel_size=[3, 3, 3], stride=[2, 2, 2], padding=[1, 1, 1], dilation=[1, 1, 1], "
            "ceil_mode=0)");
  EXPECT_NE(print(voxpool::nn::MaxPool1d(torch::nn::MaxPool1dOptions(2), "same")).find("padding=same"),
            std::string::npos);
}

TEST(Modules, InASequentialThatIsCloned) {
  torch::nn::Sequential net(torch::nn::Conv3d(torch::nn::Conv3dOptions(1, 4, 3)), torch::nn::ReLU(),
                            voxpool::nn::MaxPool3d(2), torch::nn::Flatten(), torch::nn::Linear(4 * 3 * 3 * 3, 1));
  const auto copy = std::dynamic_pointer_cast<torch::nn::SequentialImpl>(net->clone());
  ASSERT_NE(copy, nullptr);
  const Tensor x = at::randn({2, 1, 8, 8, 8});
  EXPECT_TRUE(at::equal(net->forward(x), copy->forward(x)));
  net->forward(x).sum().backward();
  EXPECT_TRUE(net->parameters()[0].grad().defined());
}

TEST(Functional, SameResultsAsTorch) {
  const Tensor x = at::randn({2, 3, 8, 9, 10});
  const auto options = F::MaxPool3dFuncOptions(3).stride(2).padding(1);
  EXPECT_TRUE(at::equal(voxpool::nn::functional::max_pool3d(x, options), F::max_pool3d(x, options)));
  EXPECT_TRUE(at::equal(std::get<1>(voxpool::nn::functional::max_pool3d_with_indices(x, options)),
                        std::get<1>(F::max_pool3d_with_indices(x, options))));
  EXPECT_TRUE(at::equal(voxpool::nn::functional::max_pool2d(x[0], F::MaxPool2dFuncOptions(2)),
                        F::max_pool2d(x[0], F::MaxPool2dFuncOptions(2))));
  EXPECT_TRUE(at::equal(voxpool::nn::functional::max_pool1d(x[0][0], F::MaxPool1dFuncOptions(2)),
                        F::max_pool1d(x[0][0], F::MaxPool1dFuncOptions(2))));
}

TEST(Info, CapabilitiesCanBeChosen) {
  EXPECT_EQ(voxpool::build_info().version, voxpool::version());
  const std::string before = voxpool::cpu_capability();
  const Tensor x = at::randn({2, 3, 8, 9, 10});
  const Tensor expected = at::max_pool3d(x, 3, 2, 1);
  for (const std::string& name : voxpool::available_cpu_capabilities()) {
    voxpool::set_cpu_capability(name);
    EXPECT_EQ(voxpool::cpu_capability(), name);
    EXPECT_TRUE(at::equal(voxpool::max_pool3d(x, 3, 2, 1), expected)) << name;
  }
  voxpool::set_cpu_capability(before);
  EXPECT_THROW(voxpool::set_cpu_capability("mmx"), std::invalid_argument);
}

}  // namespace
