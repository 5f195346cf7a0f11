#pragma once

#include "cpu/kernels/gather_backward.h"
#include "cpu/kernels/separable_variants.h"
#include "cpu/units.h"

// The variants of one instruction-set unit, included by its source file.
namespace voxpool::cpu::VOXPOOL_UNIT {

const Variant<Forward> separable_channels_first{"separable_channels_first", channels_first_refusal,
                                                separable_plan<Layout::channels_first>,
                                                separable_run<Layout::channels_first>};
const Variant<Forward> separable_channels_last{"separable_channels_last", channels_last_refusal,
                                               separable_plan<Layout::channels_last>,
                                               separable_run<Layout::channels_last>};
const Variant<Backward> gather_channels_first{"gather_channels_first", gather_refusal<Layout::channels_first>,
                                              gather_plan<Layout::channels_first>, gather_run<Layout::channels_first>};
const Variant<Backward> gather_channels_last{"gather_channels_last", gather_refusal<Layout::channels_last>,
                                             gather_plan<Layout::channels_last>, gather_run<Layout::channels_last>};

}  // namespace voxpool::cpu::VOXPOOL_UNIT
