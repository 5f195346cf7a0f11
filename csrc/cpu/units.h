#pragma once

#include "core/problem.h"
#include "core/variant.h"

// What each instruction-set unit offers; kernel_table.cpp puts them in order.
namespace voxpool::cpu {

namespace baseline {
extern const Variant<Forward> separable_channels_first, separable_channels_last, transposed_forward;
extern const Variant<Backward> gather_channels_first, gather_channels_last, transposed_backward;
}  // namespace baseline
namespace avx2 {
extern const Variant<Forward> separable_channels_first, separable_channels_last, transposed_forward;
extern const Variant<Forward> sliding_channels_last;
extern const Variant<Backward> gather_channels_first, gather_channels_last, transposed_backward;
}  // namespace avx2
namespace avx512 {
extern const Variant<Forward> separable_channels_first, separable_channels_last, transposed_forward;
extern const Variant<Forward> sliding_channels_first, sliding_channels_last;
extern const Variant<Backward> gather_channels_first, gather_channels_last, transposed_backward;
}  // namespace avx512

}  // namespace voxpool::cpu
