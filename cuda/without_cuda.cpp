#include "cuda/device.h"

namespace voxpool::cuda {

std::vector<std::string> built_architectures() { return {}; }

}  // namespace voxpool::cuda
