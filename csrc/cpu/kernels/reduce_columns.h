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

// An input row, and what its taps along d and h add to the codes of its taps along w.
template <class E>
struct InputRow {
  const typename E::Raw* data;
  int64_t code;
};

// The rows of one window, in scan order.
template <class E>
struct InputRows {
  const InputRow<E>* rows;
  int count;
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
    constexpr int n = lanes<typename E::Raw>;
    const int64_t begin = position < 0 ? -position : 0, end = length - position;
    return load_range(row + position, static_cast<int>(begin < n ? begin : n),
                      static_cast<int>(end < 0   ? 0
                                       : end < n ? end
                                                 : n),
                      E::raw_lowest);
  }
};

// One row of one vector of windows, channels-first: `position` is that of tap 0 of the first. A compile-time `kernel`
// has dilation 1 and shares each group of `stride` loads among the taps that need it, the odd taps first, so that no
// load reaches past the last tap; kernel 0 stands for any. `first` tells that there is no maximum yet.
template <class E, Track track, int stride, int kernel, class Row>
VOXPOOL_INLINE void take_row(const ColumnPass& pass, const Row& row, int64_t code, int64_t position, bool first,
                             Best<E, track>& best) {
  using Raw = typename E::Raw;
  using Lane = typename E::Lane;
  constexpr int n = lanes<Raw>;
  const auto take = [&](Vector<Raw> raw, int64_t tap) VOXPOOL_LAMBDA_INLINE {
    const Vector<Lane> x = E::decode(raw);
    const Codes<Lane> x_code = splat(static_cast<CodeLane<Lane>>(code + tap));
    if (tap == 0 && first) {
      best = {x, x_code};
    } else {
      best.take(x, x_code);
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
    constexpr int odd = kernel % stride;
    if constexpr (odd > 0) {
      group(position, v);
      take(phase<Raw, 0>(v), 0);
      if constexpr (odd > 1) take(phase<Raw, 1>(v), 1);
      if constexpr (odd > 2) take(phase<Raw, 2>(v), 2);
    }
#pragma GCC unroll 4
    for (int t = odd; t < kernel; t += stride) {
      group(position + t, v);
      take(phase<Raw, 0>(v), t);
      if constexpr (stride > 1) take(phase<Raw, 1>(v), t + 1);
      if constexpr (stride > 2) take(phase<Raw, 2>(v), t + 2);
      if constexpr (stride > 3) take(phase<Raw, 3>(v), t + 3);
    }
  }
}

template <class E, Track track, int stride, int kernel, class Sink>
void reduce_columns_first(const ColumnPass& pass, InputRows<E> rows, const Sink& sink) {
  using Raw = typename E::Raw;
  using Lane = typename E::Lane;
  constexpr int n = lanes<Raw>;
  const int64_t length = pass.columns.size();
  // What a vector of windows loads, from the first tap of the first: a kernel below the stride loads whole groups.
  const int64_t span = (kernel == 0 ? pass.w.reach() : kernel > stride ? kernel - stride : 0) + stride * n;

  for (int64_t i = 0; i < length; i += n) {
    // The last vector overlaps the one before it rather than reach past the end.
    const int64_t at = i + n <= length ? i : length < n ? 0 : length - n;
    const int64_t column = pass.columns.begin + at, position = pass.w.start(column);
    Best<E, track> best{};
    if (position >= 0 && position + span <= pass.w.in) {
      for (int r = 0; r < rows.count; ++r) {
        const InsideRow<Raw> row{rows.rows[r].data};
#pragma GCC unroll 4
        for (int j = 0; j < stride; ++j) prefetch(row.row + position + j * n, prefetch_bytes);
        take_row<E, track, stride, kernel>(pass, row, rows.rows[r].code, position, r == 0, best);
      }
    } else {
      best.value = splat(E::lane_lowest);
      if constexpr (tracks_taps(track)) {
        best.code = pass.tables.first_taps<Lane>(column) + static_cast<CodeLane<Lane>>(rows.rows[0].code);
      }
      for (int r = 0; r < rows.count; ++r) {
        const AcrossRowEnds<E> row{rows.rows[r].data, pass.w.in};
        take_row<E, track, stride, kernel>(pass, row, rows.rows[r].code, position, false, best);
      }
    }
    sink.put(at, best, length);
  }
}

// Any stride: one window at a time, gathered into a vector.
template <class E, Track track, class Sink>
void reduce_columns_first_scalar(const ColumnPass& pass, InputRows<E> rows, const Sink& sink) {
  using Raw = typename E::Raw;
  constexpr int n = lanes<Raw>;
  const int64_t length = pass.columns.size();
  for (int64_t i = 0; i < length; i += n) {
    Raw values[n] = {};
    CodeLane<Raw> codes[n] = {};
    for (int64_t j = 0; j < n && i + j < length; ++j) {
      const int64_t column = pass.columns.begin + i + j;
      const Range taps = pass.w.taps(column);
      bool first = true;
      for (int r = 0; r < rows.count; ++r) {
        const Raw* row = rows.rows[r].data + pass.w.start(column);
        for (int64_t t = taps.begin; t < taps.end; ++t) {
          const Raw x = row[t * pass.w.dilation];
          if (!first && !cpu::wins(E::element(x), E::element(values[j]))) continue;
          first = false;
          values[j] = x;
          codes[j] = static_cast<CodeLane<Raw>>(rows.rows[r].code + t);
        }
      }
    }
    sink.put(i, Best<E, track>{E::decode(load(values)), load(codes)}, length);
  }
}

// Channels-last: the taps of a window are columns of `channels` elements. A vector that reaches past the last channel
// writes into the next column, which is written later, and reads into the next input column, except at the row's end.
template <class E, Track track, int kernel, class Sink>
void reduce_columns_last(const ColumnPass& pass, InputRows<E> rows, const Sink& sink) {
  using Raw = typename E::Raw;
  using Lane = typename E::Lane;
  constexpr int n = lanes<Raw>;
  const int64_t length = pass.columns.size() * pass.channels;
  const int64_t row_end = (pass.w.in - 1) * pass.column_stride + pass.channels;
  const int64_t tap_stride = pass.w.dilation * pass.column_stride;

  for (int64_t column = pass.columns.begin; column < pass.columns.end; ++column) {
    const auto& [taps, position] = pass.tables.taps(column);
    const int64_t first_tap = taps.begin, count = taps.size();
    const int64_t first = position * pass.column_stride, last = first + (count - 1) * tap_stride;
    const int64_t at = (column - pass.columns.begin) * pass.channels;

    const auto reduce = [&](auto access, int64_t c, int64_t tap_count) VOXPOOL_LAMBDA_INLINE {
      Best<E, track> best{};
      for (int r = 0; r < rows.count; ++r) {
        const auto row = access(rows.rows[r].data);
#pragma GCC unroll 4
        for (int64_t t = 0; t < tap_count; ++t) {
          const Vector<Lane> x = E::decode(row.at(first + t * tap_stride + c));
          const Codes<Lane> x_code =
              splat(static_cast<CodeLane<Lane>>(rows.rows[r].code + (first_tap + t) * pass.code_step));
          if (r == 0 && t == 0) {
            best = {x, x_code};
          } else {
            best.take(x, x_code);
          }
        }
      }
      sink.put(at + c, best, length);
    };
    const auto inside = [](const Raw* row) VOXPOOL_LAMBDA_INLINE { return InsideRow<Raw>{row}; };
    const auto across = [&](const Raw* row) VOXPOOL_LAMBDA_INLINE { return AcrossRowEnds<E>{row, row_end}; };

    int64_t c = 0;
    for (; c < pass.channels && last + c + n <= row_end; c += n) {
      for (int r = 0; r < rows.count; ++r) {
        prefetch(rows.rows[r].data + last + c, prefetch_bytes);
        prefetch(rows.rows[r].data + last + c - pass.column_stride, prefetch_bytes);
      }
      if (kernel != 0 && count == kernel) {
        reduce(inside, c, kernel);
      } else {
        reduce(inside, c, count);
      }
    }
    for (; c < pass.channels; c += n) reduce(across, c, count);
  }
}

template <class E, Track track, class Sink>
ReduceColumns<E, Sink> select_reduce_columns_first(const Axis& w) {
  const bool dense = w.dilation == 1;
  switch (w.stride) {
    case 1:
      if (dense && w.kernel == 3) return reduce_columns_first<E, track, 1, 3, Sink>;
      return reduce_columns_first<E, track, 1, 0, Sink>;
    case 2:
      if (dense && w.kernel == 2) return reduce_columns_first<E, track, 2, 2, Sink>;
      if (dense && w.kernel == 3) return reduce_columns_first<E, track, 2, 3, Sink>;
      return reduce_columns_first<E, track, 2, 0, Sink>;
    case 3:
      if (dense && w.kernel == 3) return reduce_columns_first<E, track, 3, 3, Sink>;
      return reduce_columns_first<E, track, 3, 0, Sink>;
    case 4:
      return reduce_columns_first<E, track, 4, 0, Sink>;
    default:
      return reduce_columns_first_scalar<E, track, Sink>;
  }
}

template <class E, Track track, class Sink>
ReduceColumns<E, Sink> select_reduce_columns_last(const Axis& w) {
  switch (w.kernel) {
    case 2:
      return reduce_columns_last<E, track, 2, Sink>;
    case 3:
      return reduce_columns_last<E, track, 3, Sink>;
    default:
      return reduce_columns_last<E, track, 0, Sink>;
  }
}

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
