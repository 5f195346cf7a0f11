#include "cuda/device.h"

#include <array>
#include <atomic>
#include <stdexcept>

#include "cuda/launch.h"

namespace voxpool::cuda {
namespace {

void check(cudaError_t status, const char* what) {
  if (status == cudaSuccess) return;
  std::string message = std::string("voxpool: ") + what + ": " + cudaGetErrorString(status);
  if (status == cudaErrorNoKernelImageForDevice || status == cudaErrorUnsupportedPtxVersion) {
    message += ". This build has kernels for";
    for (const std::string& architecture : built_architectures()) message += ' ' + architecture;
    message += "; build voxpool with the device's compute capability in TORCH_CUDA_ARCH_LIST";
  }
  throw std::runtime_error(message);
}

}  // namespace

std::vector<std::string> built_architectures() {
  std::vector<std::string> names;
  for (const int architecture : {__CUDA_ARCH_LIST__}) names.push_back("sm_" + std::to_string(architecture / 10));
  return names;
}

int multiprocessors(int device) {
  static std::array<std::atomic<int>, 64> known{};
  const bool cached = device >= 0 && device < static_cast<int>(known.size());
  if (cached) {
    if (const int count = known[device].load(std::memory_order_relaxed)) return count;
  }
  int count = 0;
  check(cudaDeviceGetAttribute(&count, cudaDevAttrMultiProcessorCount, device), "reading the device's size");
  if (cached) known[device].store(count, std::memory_order_relaxed);
  return count;
}

void check_launch(const char* kernel) { check(cudaGetLastError(), kernel); }

}  // namespace voxpool::cuda
