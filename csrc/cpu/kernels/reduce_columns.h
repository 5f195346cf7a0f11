#pragma once

#include "core/axis.h"
#include "cpu/kernels/axis_tables.h"
#include "cpu/kernels/merge_rows.h"
#include "cpu/tile_plan.h"

// The pass along w, from rows as they lie in memory to reduced rows: the only pass that knows the memory format.
namespace voxpool::cpu::VOXPOOL_UNIT {
namespace {

// How far ahead of the row stream lines are asked for. 2 to 4 KiB were best over k2 s2 and k3 s2 from memory.
constexpr int64_t prefetch_bytes = 4096;

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

  VOXPOOL_INLINE const OutputTaps& taps(int64_t column) const { return taps_[column]; }

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
};

template <class E>
using ReduceColumns = void (*)(const ColumnPass&, const typename E::Raw* row, ReducedRow<E> to);

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
    constexpr int n = lanes<typename E::Raw>;
    const int64_t begin = position < 0 ? -position : 0, end = length - position;
    return load_range(row + position, static_cast<int>(begin < n ? begin : n),
                      static_cast<int>(end < 0   ? 0
                                       : end < n ? end
                                                 : n),
                      E::raw_lowest);
  }
};

// One vector of windows, channels-first: `position` is that of tap 0 of the first. The compile-time `kernel` has
// dilation 1 and shares each group of `stride` loads among the taps that need it; kernel 0 stands for any.
template <class E, Track track, int stride, int kernel, class Row>
VOXPOOL_INLINE void take_window(const ColumnPass& pass, const Row& row, int64_t position, bool has_first,
                                Best<E, track>& best) {
  using Raw = typename E::Raw;
  using Lane = typename E::Lane;
  constexpr int n = lanes<Raw>;
  const auto take = [&](Vector<Raw> raw, int64_t tap) VOXPOOL_LAMBDA_INLINE {
    const Vector<Lane> x = E::decode(raw);
    if (tap == 0 && has_first) {
      best.value = x;
      if constexpr (tracks_taps(track)) best.code = Codes<Lane>{};
    } else {
      best.take(x, splat(static_cast<CodeLane<Lane>>(tap)));
    }
  };
  const auto group = [&](int64_t from, Vector<Raw>(&v)[stride]) VOXPOOL_LAMBDA_INLINE {
#pragma GCC unroll 4
    for (int j = 0; j < stride; ++j) v[j] = row.at(from + j * n);
  };

  Vector<Raw> v[stride];
  if constexpr (kernel == 0) {
    for (int64_t t = 0; t < pass.w.kernel; ++t) {
      group(position + t * pass.w.dilation, v);
      take(phase<Raw, 0>(v), t);
    }
  } else {
#pragma GCC unroll 4
    for (int q = 0; q * stride < kernel; ++q) {
      group(position + q * stride, v);
      take(phase<Raw, 0>(v), q * stride);
      if constexpr (stride > 1) {
        if (q * stride + 1 < kernel) take(phase<Raw, 1>(v), q * stride + 1);
      }
      if constexpr (stride > 2) {
        if (q * stride + 2 < kernel) take(phase<Raw, 2>(v), q * stride + 2);
      }
      if constexpr (stride > 3) {
        if (q * stride + 3 < kernel) take(phase<Raw, 3>(v), q * stride + 3);
      }
    }
  }
}

template <class E, Track track, int stride, int kernel>
void reduce_columns_first(const ColumnPass& pass, const typename E::Raw* row, ReducedRow<E> to) {
  using Raw = typename E::Raw;
  using Lane = typename E::Lane;
  constexpr int n = lanes<Raw>;
  // From the position of the first tap of the first window to the end of what a vector of windows loads.
  const int64_t reach = kernel != 0 ? (kernel - 1) / stride * stride : pass.w.reach();
  const int64_t span = reach + stride * n;
  const ToReducedRow<E, track> sink{to};

  for (int64_t i = 0; pass.columns.begin + i < pass.columns.end; i += n) {
    const int64_t column = pass.columns.begin + i, position = pass.w.start(column);
    Best<E, track> best{};
    if (position >= 0 && position + span <= pass.w.in) {
#pragma GCC unroll 4
      for (int j = 0; j < stride; ++j) prefetch(row + position + j * n, prefetch_bytes);
      take_window<E, track, stride, kernel>(pass, InsideRow<Raw>{row}, position, true, best);
    } else {
      best.value = splat(E::lane_lowest);
      if constexpr (tracks_taps(track)) best.code = pass.tables.first_taps<Lane>(column);
      take_window<E, track, stride, kernel>(pass, AcrossRowEnds<E>{row, pass.w.in}, position, false, best);
    }
    sink.put(i, best, 0);
  }
}

// Any stride: one window at a time, through the memory of one reduced row.
template <class E, Track track>
void reduce_columns_first_scalar(const ColumnPass& pass, const typename E::Raw* row, ReducedRow<E> to) {
  using Raw = typename E::Raw;
  constexpr int n = lanes<Raw>;
  const ToReducedRow<E, track> sink{to};
  Raw values[n];
  CodeLane<Raw> codes[n];
  for (int64_t i = 0; pass.columns.begin + i < pass.columns.end; i += n) {
    for (int j = 0; j < n; ++j) {
      const int64_t column = pass.columns.begin + i + j;
      const Range taps = pass.w.taps(column);
      int64_t position = pass.w.start(column) + taps.begin * pass.w.dilation;
      values[j] = E::raw_lowest;
      codes[j] = static_cast<CodeLane<Raw>>(taps.begin);
      if (column >= pass.columns.end) continue;
      typename E::Element best = E::element(row[position]);
      for (int64_t t = taps.begin; t < taps.end; ++t, position += pass.w.dilation) {
        const typename E::Element x = E::element(row[position]);
        if (t > taps.begin && !cpu::wins(x, best)) continue;
        best = x;
        values[j] = row[position];
        codes[j] = static_cast<CodeLane<Raw>>(t);
      }
    }
    Best<E, track> best{};
    best.value = E::decode(load(values));
    if constexpr (tracks_taps(track)) best.code = load(codes);
    sink.put(i, best, 0);
  }
}

// Channels-last: the taps of a window are columns of `channels` elements. A vector that reaches past the last channel
// writes into the next column, which is written later, and reads into the next input column, except at the row's end.
template <class E, Track track, int kernel>
void reduce_columns_last(const ColumnPass& pass, const typename E::Raw* row, ReducedRow<E> to) {
  using Raw = typename E::Raw;
  using Lane = typename E::Lane;
  constexpr int n = lanes<Raw>;
  const int64_t row_end = (pass.w.in - 1) * pass.column_stride + pass.channels;
  const int64_t tap_stride = pass.w.dilation * pass.column_stride;

  for (int64_t column = pass.columns.begin; column < pass.columns.end; ++column) {
    const auto& [taps, position] = pass.tables.taps(column);
    const int64_t first = position * pass.column_stride;
    const int64_t count = kernel != 0 && taps.size() == kernel ? kernel : taps.size();
    const int64_t last = first + (count - 1) * tap_stride;
    const int64_t at = (column - pass.columns.begin) * pass.channels;
    const ToReducedRow<E, track> sink{{to.values + at, to.codes + at}};

    const int64_t first_tap = taps.begin;
    const auto code_of = [&](int64_t t) VOXPOOL_LAMBDA_INLINE {
      return splat(static_cast<CodeLane<Lane>>((first_tap + t) * pass.code_step));
    };
    const auto reduce = [&](auto row_access, int64_t c, int64_t tap_count) VOXPOOL_LAMBDA_INLINE {
      Best<E, track> best{};
      best.value = E::decode(row_access.at(first + c));
      if constexpr (tracks_taps(track)) best.code = code_of(0);
#pragma GCC unroll 4
      for (int64_t t = 1; t < tap_count; ++t) {
        best.take(E::decode(row_access.at(first + t * tap_stride + c)), code_of(t));
      }
      sink.put(c, best, 0);
    };

    int64_t c = 0;
    for (; c < pass.channels && last + c + n <= row_end; c += n) {
      prefetch(row + last + c, prefetch_bytes);
      prefetch(row + last + c - pass.column_stride, prefetch_bytes);
      if (kernel != 0 && count == kernel) {
        reduce(InsideRow<Raw>{row}, c, kernel);
      } else {
        reduce(InsideRow<Raw>{row}, c, count);
      }
    }
    for (; c < pass.channels; c += n) reduce(AcrossRowEnds<E>{row, row_end}, c, count);
  }
}

template <class E, Track track>
ReduceColumns<E> select_reduce_columns_first(const Axis& w) {
  const bool dense = w.dilation == 1;
  switch (w.stride) {
    case 1:
      if (dense && w.kernel == 3) return reduce_columns_first<E, track, 1, 3>;
      return reduce_columns_first<E, track, 1, 0>;
    case 2:
      if (dense && w.kernel == 2) return reduce_columns_first<E, track, 2, 2>;
      if (dense && w.kernel == 3) return reduce_columns_first<E, track, 2, 3>;
      return reduce_columns_first<E, track, 2, 0>;
    case 3:
      return reduce_columns_first<E, track, 3, 0>;
    case 4:
      return reduce_columns_first<E, track, 4, 0>;
    default:
      return reduce_columns_first_scalar<E, track>;
  }
}

template <class E, Track track>
ReduceColumns<E> select_reduce_columns_last(const Axis& w) {
  switch (w.kernel) {
    case 2:
      return reduce_columns_last<E, track, 2>;
    case 3:
      return reduce_columns_last<E, track, 3>;
    default:
      return reduce_columns_last<E, track, 0>;
  }
}

}  // namespace
}  // namespace voxpool::cpu::VOXPOOL_UNIT
