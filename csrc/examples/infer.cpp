// Runs a model that Python exported, on one input and without Python.
//
//   ./infer model.pt2 input.pt output.pt    a package of torch._inductor.aoti_compile_and_package
//   ./infer model.pt input.pt output.pt     what torch.jit.save wrote
//
// input.pt is one tensor written by torch.save, output.pt one for torch.load. A program that only loads models calls
// nothing of voxpool; its header keeps the library linked, and with it the operators the models look for.
#include <torch/csrc/inductor/aoti_package/model_package_loader.h>
#include <torch/csrc/jit/serialization/import.h>
#include <torch/csrc/jit/serialization/pickle.h>
#include <voxpool/voxpool.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <vector>

at::Tensor read_tensor(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  TORCH_CHECK(file, "cannot read ", path);
  const std::vector<char> bytes{std::istreambuf_iterator<char>(file), {}};
  return torch::jit::pickle_load(bytes).toTensor();
}

void write_tensor(const std::filesystem::path& path, const at::Tensor& tensor) {
  const std::vector<char> bytes = torch::jit::pickle_save(tensor);
  std::ofstream file(path, std::ios::binary);
  file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  TORCH_CHECK(file.flush(), "cannot write ", path);
}

at::Tensor run(const std::filesystem::path& model, const at::Tensor& input) {
  if (model.extension() == ".pt2") {
    return torch::inductor::AOTIModelPackageLoader(model.string()).run({input}).at(0);
  }
  return torch::jit::load(model.string()).forward({input}).toTensor();
}

int main(int argc, char** argv) {
  if (argc != 4) {
    std::fprintf(stderr, "usage: %s model.pt2|model.pt input.pt output.pt\n", argv[0]);
    return 2;
  }
  try {
    const c10::InferenceMode guard;
    const at::Tensor output = run(argv[1], read_tensor(argv[2]));
    write_tensor(argv[3], output);
    std::printf("result");
    for (const int64_t size : output.sizes()) std::printf(" %lld", static_cast<long long>(size));
    std::printf("\n");
  } catch (const c10::Error& error) {
    std::fprintf(stderr, "%s\n", error.what_without_backtrace());
    return 1;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
