// Calls an op by its name only. The header alone must have kept the library that registers it.
#include <voxpool/voxpool.h>

#include <cstdio>
#include <vector>

int main() {
  const auto schema = c10::Dispatcher::singleton().findSchema({"voxpool::max_pool3d", ""});
  if (!schema) {
    std::puts("voxpool::max_pool3d is not registered");
    return 1;
  }
  using Ints = std::vector<int64_t>;
  const at::Tensor input = torch::arange(64, torch::kFloat).reshape({1, 1, 4, 4, 4});
  torch::jit::Stack stack{input, Ints{2, 2, 2}, Ints{}, Ints{0}, Ints{1, 1, 1}, false};
  schema->callBoxed(stack);
  if (!at::equal(stack.at(0).toTensor(), at::max_pool3d(input, 2))) {
    std::puts("voxpool::max_pool3d differs from at::max_pool3d");
    return 1;
  }
  std::puts("linked");
}
