#include "cuda/kernels/forward_launch.h"

#include "core/element.h"

namespace voxpool::cuda {

template void launch_columns<float>(const Forward&, const Queue&);
template void launch_lanes<float>(const Forward&, const Queue&);
template void launch_scalar<float>(const Forward&, const Queue&);

}  // namespace voxpool::cuda
