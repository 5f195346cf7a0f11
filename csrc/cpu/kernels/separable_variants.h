#pragma once

#include "cpu/kernels/separable.h"

// When the separable kernels can run, and how.
namespace voxpool::cpu::VOXPOOL_UNIT {
namespace {

VOXPOOL_INLINE bool wants_taps(const Forward& p) { return p.taps != nullptr || p.indices != nullptr; }

VOXPOOL_INLINE const char* common_refusal(const Forward& p) {
  const Geometry& g = p.geometry;
  if (wants_taps(p) && p.code.type != TapType::u8) return "a window has more than 255 taps";
  if (g.d().kernel > most_rows_together || g.h().kernel > most_rows_together) {
    return "a window has more than 255 taps along d or h";
  }
  if (g.has_empty_window()) return "a window has no tap inside the input";
  return nullptr;
}

// What a thread keeps for the narrowest tiles there are.
double least_scratch(const Forward& p, Layout layout) {
  const Geometry& g = p.geometry;
  const Rings ring = rings(g);
  const int64_t tables = TapTable::bytes(g.d()) + TapTable::bytes(g.h()) + SlotTable::bytes(g.d().in) +
                         SlotTable::bytes(g.h().in) + ColumnTables::bytes(g.w(), layout);
  const auto rows = static_cast<double>(ring.rows + ring.planes);
  const int64_t lanes_of_row = layout == Layout::channels_first ? 1 : g.channels;
  return static_cast<double>(tables) + rows * static_cast<double>(lanes_of_row * size_of(p.dtype) + 2 * vector_bytes);
}

const char* channels_first_refusal(const Forward& p) {
  if (p.input_strides.w != 1) return "columns do not lie next to each other (w stride is not 1)";
  if (!in_memory_order(p).in_scan_order) return "the axes d, h, w are not in this order in memory";
  if (is_out_of_proportion(least_scratch(p, Layout::channels_first), p.geometry, p.dtype)) return too_much_scratch;
  return common_refusal(p);
}

const char* channels_last_refusal(const Forward& given) {
  const OrderedForward ordered = in_memory_order(given);
  const Forward& p = ordered.problem;
  if (p.input_strides.c != 1) return "channels do not lie next to each other (c stride is not 1)";
  if (p.geometry.channels == 1 && p.input_strides.w == 1) return "with one channel, columns lie next to each other";
  if (p.geometry.w().in > 1 && p.input_strides.w < p.geometry.channels) return "columns of channels overlap";
  if (p.code.type != TapType::u8 && !ordered.in_scan_order) {
    return "a window has more than 255 taps, and the axes d, h, w are not in this order in memory";
  }
  if (is_out_of_proportion(least_scratch(p, Layout::channels_last), p.geometry, p.dtype)) return too_much_scratch;
  return common_refusal(p);
}

// Values, and taps.
KeptRows kept_rows(const Geometry& g, ScalarType dtype) { return {rings(g), static_cast<int64_t>(size_of(dtype)) + 1}; }

template <Layout layout>
Plan separable_plan(const Forward& p, int64_t threads) {
  const Geometry g = in_memory_order(p).problem.geometry;
  return plan_tiles(g, layout, kept_rows(g, p.dtype), threads, scratch_budget());
}

template <Layout layout>
void separable_run(const Forward& p, const Plan& plan, int64_t begin, int64_t end) {
  const OrderedForward ordered = in_memory_order(p);
  dispatch(p.dtype, [&]<class T>(T) {
    using E = ElementLanes<T>;
    if constexpr (layout == Layout::channels_last) {
      // Out of scan order even values need the taps: of two zeros, or of two NaNs, the tap decides which one it is.
      if (!ordered.in_scan_order) {
        return Separable<E, Track::taps_in_any_order>(ordered, layout, plan).run(begin, end);
      }
    }
    if (wants_taps(p)) {
      Separable<E, Track::taps_in_scan_order>(ordered, layout, plan).run(begin, end);
    } else {
      Separable<E, Track::values>(ordered, layout, plan).run(begin, end);
    }
  });
}

}  // namespace
}  // namespace voxpool::cpu::VOXPOOL_UNIT
