// Trains a small 3-D CNN to tell which half of a volume is brighter, and prints the loss as it falls.
//
//   ./train [epochs]
#include <torch/nn.h>
#include <torch/optim.h>
#include <voxpool/voxpool.h>

#include <cstdio>
#include <cstdlib>
#include <vector>

constexpr int64_t size = 16, channels = 8, batch = 16;

struct NetworkImpl : torch::nn::Module {
  NetworkImpl() {
    // Two poolings of 3 s2 p1; the linear layer is sized by asking, not by hand.
    std::vector<int64_t> sizes{size, size, size};
    for (int layer = 0; layer < 2; ++layer) sizes = voxpool::output_size(sizes, 3, 2, 1);
    const int64_t features = channels * sizes[0] * sizes[1] * sizes[2];

    using torch::nn::Conv3dOptions;
    const auto window = torch::nn::MaxPool3dOptions(3).stride(2).padding(1);
    layers->push_back(torch::nn::Conv3d(Conv3dOptions(1, channels, 3).padding(1)));
    layers->push_back(torch::nn::BatchNorm3d(channels));
    layers->push_back(torch::nn::ReLU());
    layers->push_back(voxpool::nn::MaxPool3d(window));
    layers->push_back(torch::nn::Conv3d(Conv3dOptions(channels, channels, 3).padding(1)));
    layers->push_back(torch::nn::BatchNorm3d(channels));
    layers->push_back(torch::nn::ReLU());
    layers->push_back(voxpool::nn::MaxPool3d(window));
    layers->push_back(torch::nn::Flatten());
    layers->push_back(torch::nn::Linear(features, 1));
    register_module("layers", layers);
  }

  torch::Tensor forward(const torch::Tensor& x) { return layers->forward(x); }

  torch::nn::Sequential layers;
};
TORCH_MODULE(Network);

int main(int argc, char** argv) {
  const int epochs = argc > 1 ? std::atoi(argv[1]) : 5;
  torch::manual_seed(0);
  const at::Tensor volumes = torch::randn({4 * batch, 1, size, size, size});
  const auto half = volumes.split(size / 2, 2);
  const at::Tensor labels = (half[0].mean({1, 2, 3, 4}) > half[1].mean({1, 2, 3, 4})).to(at::kFloat).unsqueeze(1);

  Network network;
  torch::optim::Adam optimizer(network->parameters(), 3e-3);
  for (int epoch = 0; epoch < epochs; ++epoch) {
    double sum = 0;
    for (int64_t start = 0; start < volumes.size(0); start += batch) {
      const at::Tensor logits = network->forward(volumes.narrow(0, start, batch));
      const at::Tensor loss = at::binary_cross_entropy_with_logits(logits, labels.narrow(0, start, batch));
      optimizer.zero_grad();
      loss.backward();
      optimizer.step();
      sum += loss.item<double>();
    }
    std::printf("epoch %d  loss %.4f\n", epoch + 1, sum * batch / volumes.size(0));
  }
}
