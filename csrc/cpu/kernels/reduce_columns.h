#pragma once

#include "cpu/kernels/reduce_columns_first.h"
#include "cpu/kernels/reduce_columns_last.h"

// The pass along w, from rows as they lie in memory to reduced rows: the only pass that knows the memory format.
namespace voxpool::cpu::VOXPOOL_UNIT {
namespace {

// The pass for a layout; taps out of scan order exist in channels-last only.
template <class E, Track track, class Sink>
ReduceColumns<E, Sink> select_reduce_columns(Layout layout, const Axis& w) {
  if constexpr (track != Track::taps_in_any_order) {
    if (layout == Layout::channels_first) return select_reduce_columns_first<E, track, Sink>(w);
  }
  return select_reduce_columns_last<E, track, Sink>(w);
}

}  // namespace
}  // namespace voxpool::cpu::VOXPOOL_UNIT
