#include "cuda/kernels/backward_launch.h"

#include "core/element.h"

namespace voxpool::cuda {

template void launch_columns<float>(const Backward&, const Queue&);
template void launch_lanes<float>(const Backward&, const Queue&);
template void launch_scalar<float>(const Backward&, const Queue&);

}  // namespace voxpool::cuda
