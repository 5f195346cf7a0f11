#pragma once

#include "core/problem.h"
#include "core/variant.h"

// Scalar kernels for any window, dtype, strides and tap type: the last entry of every list, and all there is for
// gathers. The work per element is bounded by the taps (or windows) that lie inside the input.
namespace voxpool::cpu {

extern const Variant<Forward> generic_forward;
extern const Variant<Backward> generic_backward;
extern const Variant<Gather> generic_gather;
extern const Variant<TapIndices> generic_tap_indices;

}  // namespace voxpool::cpu
