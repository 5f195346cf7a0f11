#include "cpu/kernel_table.h"

#include "cpu/generic.h"
#include "cpu/units.h"

namespace voxpool::cpu {
namespace {

constexpr const Variant<Gather>* gather_any[] = {&generic_gather};
constexpr const Variant<TapIndices>* tap_indices_any[] = {&generic_tap_indices};

constexpr const Variant<Forward>* forward_baseline[] = {&baseline::separable_channels_last,
                                                        &baseline::transposed_forward,
                                                        &baseline::separable_channels_first, &generic_forward};
constexpr const Variant<Backward>* backward_baseline[] = {&baseline::gather_channels_last,
                                                          &baseline::transposed_backward,
                                                          &baseline::gather_channels_first, &generic_backward};
constexpr KernelTable baseline_table{forward_baseline, backward_baseline, gather_any, tap_indices_any};

#ifdef VOXPOOL_HAVE_AVX2
constexpr const Variant<Forward>* forward_avx2[] = {&avx2::sliding_channels_last, &avx2::separable_channels_last,
                                                    &avx2::transposed_forward, &avx2::separable_channels_first,
                                                    &generic_forward};
constexpr const Variant<Backward>* backward_avx2[] = {&avx2::gather_channels_last, &avx2::transposed_backward,
                                                      &avx2::gather_channels_first, &generic_backward};
constexpr KernelTable avx2_table{forward_avx2, backward_avx2, gather_any, tap_indices_any};
#endif

#ifdef VOXPOOL_HAVE_AVX512
constexpr const Variant<Forward>* forward_avx512[] = {
    &avx512::sliding_channels_last,  &avx512::separable_channels_last,  &avx512::transposed_forward,
    &avx512::sliding_channels_first, &avx512::separable_channels_first, &generic_forward};
constexpr const Variant<Backward>* backward_avx512[] = {&avx512::gather_channels_last, &avx512::transposed_backward,
                                                        &avx512::gather_channels_first, &generic_backward};
constexpr KernelTable avx512_table{forward_avx512, backward_avx512, gather_any, tap_indices_any};
#endif

}  // namespace

const KernelTable& kernel_table([[maybe_unused]] Capability capability) {
#ifdef VOXPOOL_HAVE_AVX512
  if (capability == Capability::avx512) return avx512_table;
#endif
#ifdef VOXPOOL_HAVE_AVX2
  if (capability == Capability::avx2) return avx2_table;
#endif
  return baseline_table;
}

}  // namespace voxpool::cpu
