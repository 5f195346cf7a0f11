#pragma once

#include <type_traits>

#include "cpu/kernels/column_pass.h"

// The pass along w in channels-last: a vector holds the channels of one window.
namespace voxpool::cpu::VOXPOOL_UNIT {
namespace {

// The taps of a window are columns of `channels` elements. A vector that reaches past the last channel writes into the
// next column, which is written later, and reads into the next input column, except at the row's end. `row_count` and
// `taps` are integers, or constants where the compiler is to know them.
template <class E, Track track, class RowCount, class TapCount, class Access>
VOXPOOL_INLINE Best<E, track> reduce_channels(const InputRow<E>* rows, RowCount row_count, TapCount taps,
                                              int64_t tap_stride, Codes<typename E::Lane> first_code,
                                              Codes<typename E::Lane> code_step, int64_t at, const Access& access) {
  using Lane = typename E::Lane;
  Best<E, track> best{};
  for (int r = 0; r < row_count; ++r) {
    const auto row = access(rows[r].data);
    Codes<Lane> code = splat_code<Lane>(rows[r].code) + first_code;
    for (int64_t t = 0; t < taps; ++t) {
      const Vector<Lane> x = E::decode(row.at(at + t * tap_stride));
      if (r == 0 && t == 0) {
        best = {x, code};
      } else {
        best.take(x, code);
      }
      code += code_step;
    }
  }
  return best;
}

template <class E, Track track, int kernel, class RowCount, class Sink>
VOXPOOL_INLINE void reduce_columns_last_of(const ColumnPass& given, const InputRow<E>* rows, RowCount row_count,
                                           int64_t next_window, Sink sink) {
  using Raw = typename E::Raw;
  using Lane = typename E::Lane;
  constexpr int n = lanes<Raw>;
  constexpr int64_t line = 64 / static_cast<int64_t>(sizeof(Raw));  // of the cache
  const ColumnPass pass = given;                                    // a copy that no store changes
  const int64_t length = pass.columns.size() * pass.channels;
  const int64_t row_end = (pass.w.in - 1) * pass.column_stride + pass.channels;
  const int64_t tap_stride = pass.w.dilation * pass.column_stride;
  const Codes<Lane> code_step = splat_code<Lane>(pass.code_step);
  // Columns of a window that the one before it did not span.
  const int64_t span = pass.w.reach() < pass.w.in ? pass.w.reach() + 1 : pass.w.in;
  const int64_t new_columns = pass.w.stride < span ? pass.w.stride : span;
  // What follows a row is its successor in the next window, which may lie behind other rows of this one.
  const int64_t row_size = pass.w.in * pass.column_stride, skipped = next_window - row_size;
  constexpr int64_t ahead = prefetch_bytes / static_cast<int64_t>(sizeof(Raw));

  for (int64_t column = pass.columns.begin; column < pass.columns.end; ++column) {
    const OutputTaps& column_taps = pass.tables.taps(column);
    const Range taps = column_taps.taps;
    const int64_t position = column_taps.position;
    const int64_t first = position * pass.column_stride, last = first + (taps.size() - 1) * tap_stride;
    const int64_t at = (column - pass.columns.begin) * pass.channels;
    const Codes<Lane> first_code = splat_code<Lane>(taps.begin * pass.code_step);
    for (int r = 0; r < row_count; ++r) {
      const Raw* end = rows[r].data + last + pass.channels + (last + ahead < row_size ? 0 : skipped);
      for (int64_t i = new_columns * pass.column_stride; i > 0; i -= line) prefetch(end - i, prefetch_bytes);
    }

    const auto inside = [](const Raw* row) VOXPOOL_LAMBDA_INLINE { return InsideRow<Raw>{row}; };
    const auto across = [&](const Raw* row) VOXPOOL_LAMBDA_INLINE { return AcrossRowEnds<E>{row, row_end}; };
    const auto reduce = [&](auto count, int64_t c, const auto& access) VOXPOOL_LAMBDA_INLINE {
      sink.put(at + c,
               reduce_channels<E, track>(rows, row_count, count, tap_stride, first_code, code_step, first + c, access),
               length);
    };
    const int64_t inside_end = pass.channels < row_end - last - n + 1 ? pass.channels : row_end - last - n + 1;
    int64_t c = 0;
    if (kernel != 0 && taps.size() == kernel) {
      for (; c < inside_end; c += n) reduce(std::integral_constant<int64_t, kernel>(), c, inside);
    } else {
      for (; c < inside_end; c += n) reduce(taps.size(), c, inside);
    }
    for (; c < pass.channels; c += n) reduce(taps.size(), c, across);
  }
}

template <class E, Track track, int kernel, class Sink>
void reduce_columns_last(const ColumnPass& pass, InputRows<E> rows, const Sink& sink) {
  for (int64_t i = 0; i < rows.windows; ++i) {
    const Sink to = sink.after(i * rows.output_step);
    if (rows.count == 1) {
      const InputRow<E> row{rows.data(0, i), rows.rows[0].code};
      reduce_columns_last_of<E, track, kernel>(pass, &row, std::integral_constant<int, 1>(), rows.input_step, to);
    } else {
      InputRow<E> window[most_rows_together];
      for (int r = 0; r < rows.count; ++r) window[r] = {rows.data(r, i), rows.rows[r].code};
      reduce_columns_last_of<E, track, kernel>(pass, window, rows.count, rows.input_step, to);
    }
  }
}

template <class E, Track track, class Sink>
ReduceColumns<E, Sink> select_reduce_columns_last(const Axis& w) {
  if constexpr (knows_windows) {
    if (w.kernel == 2) return reduce_columns_last<E, track, 2, Sink>;
    if (w.kernel == 3) return reduce_columns_last<E, track, 3, Sink>;
  }
  return reduce_columns_last<E, track, 0, Sink>;
}

}  // namespace
}  // namespace voxpool::cpu::VOXPOOL_UNIT
