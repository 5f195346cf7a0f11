#include "cuda/build_info.h"

namespace voxpool::cuda {

std::vector<std::string> built_architectures() { return {}; }

}  // namespace voxpool::cuda
