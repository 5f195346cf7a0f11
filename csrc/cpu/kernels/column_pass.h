#pragma once

#include "core/axis.h"
#include "cpu/kernels/axis_tables.h"
#include "cpu/kernels/merge_rows.h"
#include "cpu/kernels/narrow_columns.h"
#include "cpu/tile_plan.h"

// What the pass along w works on: rows as they lie in memory, and where their vectors may be read and written.
namespace voxpool::cpu::VOXPOOL_UNIT {
namespace {

// Whether a row of the output is one run of memory.
VOXPOOL_INLINE bool has_dense_rows(const Forward& p, Layout layout) {
  const Strides& out = p.output_strides;
  return layout == Layout::channels_first ? out.w == 1 : out.w == p.geometry.channels && out.c == 1;
}

// How to store results of `size` bytes. Channels-last vectors that reach past the last channel are overwritten by the
// next column.
VOXPOOL_INLINE Stores stores_of(const Forward& p, Layout layout, const Plan& plan, const void* results, int64_t size) {
  const Strides& out = p.output_strides;
  const bool first = layout == Layout::channels_first;
  const int64_t column = (first ? 1 : p.geometry.channels) * size;
  if (!p.stream || !has_dense_rows(p, layout) || (!first && column % vector_bytes != 0)) return Stores::cached;
  return stream_stores(results, out.n * size, out.d * size, out.h * size, first ? out.c * size : column,
                       p.geometry.w().out * column, plan.columns * column);
}

// How far ahead of the row stream lines are asked for: the best over k2 s2 and k3 s2 from memory, in both layouts.
constexpr int64_t prefetch_bytes = 8192;

// Channels-last asks for the taps of every column, channels-first only for the first taps of the columns that begin in
// the leading padding, a vector at a time.
class ColumnTables {
 public:
  ColumnTables() = default;
  static int64_t bytes(const Axis& w, Layout layout) {
    return layout == Layout::channels_last ? TapTable::bytes(w)
                                           : Scratch::bytes_for<uint8_t>(padded_columns(w) + vector_bytes);
  }

  ColumnTables(const Axis& w, Layout layout, Scratch& scratch) {
    if (layout == Layout::channels_last) {
      taps_ = TapTable(w, scratch);
      return;
    }
    const int64_t padded = padded_columns(w);
    uint8_t* first = scratch.take<uint8_t>(padded + vector_bytes);
    for (int64_t o = 0; o < padded + vector_bytes; ++o)
      first[o] = o < padded ? static_cast<uint8_t>(w.taps(o).begin) : 0;
    first_tap_ = first;
    padded_ = padded;
  }

  // Channels-last with few channels asks for vectors of several columns instead.
  explicit ColumnTables(const NarrowColumns& narrow) : narrow_(narrow) {}

  VOXPOOL_INLINE const OutputTaps& taps(int64_t column) const { return taps_[column]; }
  VOXPOOL_INLINE const NarrowColumns& narrow() const { return narrow_; }

  template <class Lane>
  VOXPOOL_INLINE Codes<Lane> first_taps(int64_t column) const {
    return column < padded_ ? load_codes<Lane>(first_tap_ + column) : Codes<Lane>{};
  }

 private:
  static int64_t padded_columns(const Axis& w) {
    const int64_t padded = ceil_div(w.pad_begin, w.stride);
    return padded < w.out ? padded : w.out;
  }

  TapTable taps_;
  NarrowColumns narrow_;
  const uint8_t* first_tap_ = nullptr;
  int64_t padded_ = 0;
};

struct ColumnPass {
  Axis w;
  Range columns;          // of the output
  int64_t channels;       // lanes of one column: 1 in channels-first
  int64_t column_stride;  // elements from one input column to the next
  int64_t code_step;      // by how much one tap along w raises the code; 1 in channels-first
  ColumnTables tables;
  // Where lanes that are not used may be loaded past the end of a row: the end of the input. Else null.
  const void* readable_end;

  // Elements that may be loaded from here on.
  template <class Raw>
  VOXPOOL_INLINE int64_t readable(const Raw* row) const {
    return readable_end == nullptr ? w.in * channels : static_cast<const Raw*>(readable_end) - row;
  }
};

// An input row, and what its taps along d and h add to the codes of its taps along w.
template <class E>
struct InputRow {
  const typename E::Raw* data;
  int64_t code;
};

// The rows of one window, in scan order and in the order of memory; and of the windows below it, as many, each
// `input_step` elements further on, with results `output_step` lanes further on.
template <class E>
struct InputRows {
  const InputRow<E>* rows;
  int count;
  int64_t windows = 1;
  int64_t input_step = 0;
  int64_t output_step = 0;

  VOXPOOL_INLINE const typename E::Raw* data(int row, int64_t window) const {
    return rows[row].data + window * input_step;
  }
};

template <class E, class Sink>
using ReduceColumns = void (*)(const ColumnPass&, InputRows<E>, const Sink&);

// Vectors of the row where all of it lies inside the row ...
template <class Raw>
struct InsideRow {
  const Raw* row;
  VOXPOOL_INLINE Vector<Raw> at(int64_t position) const { return load(row + position); }
};

// ... and where it may not: positions outside hold the lowest value, which never wins.
template <class E>
struct AcrossRowEnds {
  const typename E::Raw* row;
  int64_t length;

  VOXPOOL_INLINE Vector<typename E::Raw> at(int64_t position) const {
    return load_range(row + position, LaneRange<lanes<typename E::Raw>>(-position, length - position), E::raw_lowest);
  }
};

}  // namespace
}  // namespace voxpool::cpu::VOXPOOL_UNIT
