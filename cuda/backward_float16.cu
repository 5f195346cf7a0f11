#include "cuda/kernels/backward_launch.h"

#include "core/element.h"

namespace voxpool::cuda {

template void launch_columns<Float16>(const Backward&, const Queue&);
template void launch_lanes<Float16>(const Backward&, const Queue&);
template void launch_scalar<Float16>(const Backward&, const Queue&);

}  // namespace voxpool::cuda
