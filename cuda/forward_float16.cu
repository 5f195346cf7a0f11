#include "cuda/kernels/forward_launch.h"

#include "core/element.h"

namespace voxpool::cuda {

template void launch_columns<Float16>(const Forward&, const Queue&);
template void launch_lanes<Float16>(const Forward&, const Queue&);
template void launch_scalar<Float16>(const Forward&, const Queue&);

}  // namespace voxpool::cuda
