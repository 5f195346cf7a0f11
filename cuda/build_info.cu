#include "cuda/build_info.h"

namespace voxpool::cuda {

std::vector<std::string> built_architectures() {
  std::vector<std::string> names;
  for (const int architecture : {__CUDA_ARCH_LIST__}) names.push_back("sm_" + std::to_string(architecture / 10));
  return names;
}

}  // namespace voxpool::cuda
