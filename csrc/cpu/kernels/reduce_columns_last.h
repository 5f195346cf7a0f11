#pragma once

#include "cpu/kernels/column_pass.h"

// The pass along w in channels-last: a vector holds the channels of one window.
namespace voxpool::cpu::VOXPOOL_UNIT {
namespace {

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
  constexpr int64_t line = 64 / static_cast<int64_t>(sizeof(Raw));  // of the cache

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
              splat_code<Lane>(rows.rows[r].code) + splat_code<Lane>((first_tap + t) * pass.code_step);
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

    for (int r = 0; r < rows.count; ++r) {
      const Raw* end = rows.rows[r].data + last + pass.channels;
      for (int64_t i = pass.w.stride * pass.column_stride; i > 0; i -= line) prefetch(end - i, prefetch_bytes);
    }

    int64_t c = 0;
    for (; c < pass.channels && last + c + n <= row_end; c += n) {
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

}  // namespace
}  // namespace voxpool::cpu::VOXPOOL_UNIT
