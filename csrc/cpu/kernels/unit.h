#pragma once

#include "cpu/kernels/transposed.h"
#include "cpu/units.h"

// The variants of one instruction-set unit, included by its source file.
namespace voxpool::cpu::VOXPOOL_UNIT {

const Variant<Forward> separable_channels_first{"separable_channels_first", channels_first_refusal,
                                                separable_plan<Layout::channels_first>,
                                                separable_run<Layout::channels_first>};
const Variant<Forward> separable_channels_last{"separable_channels_last", channels_last_refusal,
                                               separable_plan<Layout::channels_last>,
                                               separable_run<Layout::channels_last>};
#if defined(__AVX512F__)
const Variant<Forward> sliding_channels_first{"sliding_channels_first", sliding_refusal<Layout::channels_first>,
                                              sliding_plan<Layout::channels_first>,
                                              sliding_run<Layout::channels_first>};
#endif
#if defined(__AVX2__)
const Variant<Forward> sliding_channels_last{"sliding_channels_last", sliding_refusal<Layout::channels_last>,
                                             sliding_plan<Layout::channels_last>, sliding_run<Layout::channels_last>};
#endif
const Variant<Forward> transposed_forward{"transposed_channels_first", transposed_forward_refusal,
                                          transposed_forward_plan, transposed_forward_run};
const Variant<Backward> gather_channels_first{"gather_channels_first", gather_refusal<Layout::channels_first>,
                                              gather_plan<Layout::channels_first>, gather_run<Layout::channels_first>};
const Variant<Backward> gather_channels_last{"gather_channels_last", gather_refusal<Layout::channels_last>,
                                             gather_plan<Layout::channels_last>, gather_run<Layout::channels_last>};
const Variant<Backward> transposed_backward{"transposed_channels_first", transposed_backward_refusal,
                                            transposed_backward_plan, transposed_backward_run};

}  // namespace voxpool::cpu::VOXPOOL_UNIT
