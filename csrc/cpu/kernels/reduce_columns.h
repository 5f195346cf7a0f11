#pragma once

#include "cpu/kernels/reduce_columns_first.h"
#include "cpu/kernels/reduce_columns_last.h"
#include "cpu/kernels/reduce_columns_narrow.h"

// The pass along w, from rows as they lie in memory to reduced rows: the only pass that knows the memory format.
namespace voxpool::cpu::VOXPOOL_UNIT {
namespace {

// The pass for a layout. Taps out of scan order exist in channels-last only, and not with narrow columns: lanes outside
// the row hold the lowest value, which would win a tie by its earlier tap.
template <class E, Track track, class Sink>
ReduceColumns<E, Sink> select_reduce_columns(Layout layout, const Axis& w, bool narrow) {
  if constexpr (track != Track::taps_in_any_order) {
    if (layout == Layout::channels_first) return select_reduce_columns_first<E, track, Sink>(w);
  }
  if constexpr (can_permute<typename E::Raw> && track != Track::taps_in_any_order) {
    if (narrow) return select_reduce_columns_narrow<E, track, Sink>(w);
  }
  return select_reduce_columns_last<E, track, Sink>(w);
}

}  // namespace
}  // namespace voxpool::cpu::VOXPOOL_UNIT
