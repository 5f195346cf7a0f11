#include "cuda/kernels/backward_launch.h"

#include "core/element.h"

namespace voxpool::cuda {

template void launch_columns<BFloat16>(const Backward&, const Queue&);
template void launch_lanes<BFloat16>(const Backward&, const Queue&);
template void launch_scalar<BFloat16>(const Backward&, const Queue&);

}  // namespace voxpool::cuda
