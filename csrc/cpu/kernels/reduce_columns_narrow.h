#pragma once

#include <type_traits>

#include "cpu/kernels/column_pass.h"
#include "cpu/simd/permute.h"

// The pass along w in channels-last with so few channels that a vector holds several columns: lanes are the elements of
// the output row as they lie. A tap of all of them lies in two vectors of the input row, in an order that is the same
// for every tap (`NarrowColumns`).
namespace voxpool::cpu::VOXPOOL_UNIT {
namespace {

template <class E>
bool columns_are_narrow(const Axis& w, int64_t channels, int64_t columns, int64_t column_stride) {
  constexpr int n = lanes<typename E::Raw>;
  return can_permute<typename E::Raw> && 2 * channels <= n && columns == w.out && column_stride == channels &&
         NarrowColumns::fit(w, channels, n);
}

template <class E, Track track, bool permuted, class Row>
VOXPOOL_INLINE void take_narrow_row(const ColumnPass& pass, const Row& row, int64_t code, int64_t position,
                                    PermuteIndex<typename E::Raw> index, bool first, Best<E, track>& best) {
  using Raw = typename E::Raw;
  using Lane = typename E::Lane;
  const int64_t tap_stride = pass.w.dilation * pass.channels;
  for (int64_t t = 0; t < pass.w.kernel; ++t) {
    const int64_t at = position + t * tap_stride;
    Vector<Raw> raw = row.at(at);
    if constexpr (permuted) raw = permute_two<Raw>(raw, row.at(at + lanes<Raw>), index);
    const Vector<Lane> x = E::decode(raw);
    const Codes<Lane> x_code = splat_code<Lane>(code + t * pass.code_step);
    if (t == 0 && first) {
      best = {x, x_code};
    } else {
      best.take(x, x_code);
    }
  }
}

template <class E, Track track, bool permuted, class Sink>
void reduce_columns_narrow(const ColumnPass& given, InputRows<E> rows, const Sink& sink) {
  using Raw = typename E::Raw;
  using Lane = typename E::Lane;
  constexpr int n = lanes<Raw>;
  constexpr int vectors = permuted ? 2 : 1;
  const ColumnPass pass = given;  // a copy that no store changes
  const int64_t length = pass.columns.size() * pass.channels, row_length = pass.w.in * pass.channels;
  const int64_t span = pass.w.reach() * pass.channels + vectors * n;

  for (int64_t window = 0; window < rows.windows; ++window) {
    const Sink to = sink.after(window * rows.output_step);
    const int64_t readable = pass.readable(rows.data(rows.count - 1, window));
    for (int64_t i = 0; i < length; i += n) {
      const int64_t position = pass.tables.narrow().position(i / n);
      const auto index = load_index<Raw>(pass.tables.narrow().index(i));
      Best<E, track> best{};
      if (position >= 0 && position + span <= readable) {
        for (int r = 0; r < rows.count; ++r) {
          const InsideRow<Raw> row{rows.data(r, window)};
#pragma GCC unroll 2
          for (int j = 0; j < vectors; ++j) prefetch(row.row + position + j * n, prefetch_bytes);
          take_narrow_row<E, track, permuted>(pass, row, rows.rows[r].code, position, index, r == 0, best);
        }
      } else {
        best.value = splat(E::lane_lowest);
        if constexpr (tracks_taps(track)) {
          best.code = load_codes<Lane>(pass.tables.narrow().first_codes(i)) + splat_code<Lane>(rows.rows[0].code);
        }
        for (int r = 0; r < rows.count; ++r) {
          const AcrossRowEnds<E> row{rows.data(r, window), row_length};
          take_narrow_row<E, track, permuted>(pass, row, rows.rows[r].code, position, index, false, best);
        }
      }
      to.put(i, best, length);
    }
  }
}

template <class E, Track track, class Sink>
ReduceColumns<E, Sink> select_reduce_columns_narrow(const Axis& w) {
  return w.stride == 1 ? reduce_columns_narrow<E, track, false, Sink> : reduce_columns_narrow<E, track, true, Sink>;
}

}  // namespace
}  // namespace voxpool::cpu::VOXPOOL_UNIT
