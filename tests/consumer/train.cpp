// Trains a small network with voxpool's module, then writes, reads and compares it.
#include <torch/torch.h>
#include <voxpool/voxpool.h>

#include <cstdio>
#include <sstream>

struct NetworkImpl : torch::nn::Module {
  torch::nn::Conv3d conv{torch::nn::Conv3dOptions(1, 4, 3)};
  voxpool::nn::MaxPool3d pool{torch::nn::MaxPool3dOptions(2)};
  torch::nn::Linear linear{4 * 3 * 3 * 3, 1};

  NetworkImpl() {
    register_module("conv", conv);
    register_module("pool", pool);
    register_module("linear", linear);
  }

  torch::Tensor forward(const torch::Tensor& x) {
    return torch::sigmoid(linear->forward(pool->forward(torch::relu(conv->forward(x))).flatten(1)));
  }
};
TORCH_MODULE(Network);

int main() {
  torch::manual_seed(0);
  const torch::Tensor input = torch::randn({8, 1, 8, 8, 8});
  const torch::Tensor target = (input.mean({1, 2, 3, 4}) > 0).to(torch::kFloat).unsqueeze(1);

  Network network;
  torch::optim::SGD optimizer(network->parameters(), 0.5);
  float first = 0, last = 0;
  for (int step = 0; step < 20; ++step) {
    optimizer.zero_grad();
    const torch::Tensor loss = torch::binary_cross_entropy(network->forward(input), target);
    loss.backward();
    optimizer.step();
    last = loss.item<float>();
    if (step == 0) first = last;
  }
  std::printf("loss %.4f -> %.4f\n", first, last);
  if (!(last < first)) {
    std::puts("the loss did not fall");
    return 1;
  }

  std::stringstream file;
  torch::save(network, file);
  Network reloaded;
  torch::load(reloaded, file);
  if (!torch::equal(reloaded->forward(input), network->forward(input))) {
    std::puts("the reloaded network differs");
    return 1;
  }
  std::puts("trained");
}
