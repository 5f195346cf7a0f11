#include "cuda/kernels/forward_launch.h"

#include "core/element.h"

namespace voxpool::cuda {

template void launch_columns<BFloat16>(const Forward&, const Queue&);
template void launch_lanes<BFloat16>(const Forward&, const Queue&);
template void launch_scalar<BFloat16>(const Forward&, const Queue&);

}  // namespace voxpool::cuda
