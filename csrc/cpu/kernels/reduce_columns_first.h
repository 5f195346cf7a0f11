#pragma once

#include <utility>

#include "cpu/kernels/column_pass.h"

// The pass along w in channels-first: a vector holds the windows of neighbouring columns.
namespace voxpool::cpu::VOXPOOL_UNIT {
namespace {

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
    const Codes<Lane> x_code = splat_code<Lane>(code) + splat_code<Lane>(tap);
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
VOXPOOL_INLINE void reduce_window_row_first(const ColumnPass& pass, const InputRows<E>& rows, int64_t window,
                                            const Sink& sink) {
  using Raw = typename E::Raw;
  using Lane = typename E::Lane;
  constexpr int n = lanes<Raw>;
  const int64_t length = pass.columns.size(), readable = pass.readable(rows.data(rows.count - 1, window));
  // What a vector of windows loads, from the first tap of the first: a kernel below the stride loads whole groups.
  const int64_t span = (kernel == 0 ? pass.w.reach() : kernel > stride ? kernel - stride : 0) + stride * n;

  for (int64_t i = 0; i < length; i += n) {
    // Without room behind the row, the last vector overlaps the one before it.
    const int64_t at = sink.takes_part() || i + n <= length ? i : length < n ? 0 : length - n;
    const int64_t column = pass.columns.begin + at, position = pass.w.start(column);
    Best<E, track> best{};
    if (position >= 0 && position + span <= readable) {
      for (int r = 0; r < rows.count; ++r) {
        const InsideRow<Raw> row{rows.data(r, window)};
#pragma GCC unroll 4
        for (int j = 0; j < stride; ++j) prefetch(row.row + position + j * n, prefetch_bytes);
        take_row<E, track, stride, kernel>(pass, row, rows.rows[r].code, position, r == 0, best);
      }
    } else {
      best.value = splat(E::lane_lowest);
      if constexpr (tracks_taps(track)) {
        best.code = pass.tables.template first_taps<Lane>(column) + splat_code<Lane>(rows.rows[0].code);
      }
      for (int r = 0; r < rows.count; ++r) {
        const AcrossRowEnds<E> row{rows.data(r, window), pass.w.in};
        take_row<E, track, stride, kernel>(pass, row, rows.rows[r].code, position, false, best);
      }
    }
    sink.put(at, best, length);
  }
}

template <class E, Track track, int stride, int kernel, class Sink>
void reduce_columns_first(const ColumnPass& given, InputRows<E> rows, const Sink& sink) {
  const ColumnPass pass = given;  // a copy that no store changes
  for (int64_t i = 0; i < rows.windows; ++i) {
    reduce_window_row_first<E, track, stride, kernel>(pass, rows, i, sink.after(i * rows.output_step));
  }
}

// The phases of the elements of one vector of windows, first element at `position`.
template <class E, int stride>
struct Phases {
  using Raw = typename E::Raw;
  using Lane = typename E::Lane;
  Vector<Lane> of[stride];

  VOXPOOL_INLINE Phases() {
    for (int r = 0; r < stride; ++r) of[r] = splat(E::lane_lowest);
  }

  VOXPOOL_INLINE Phases(const Raw* row, int64_t position, int64_t length, int64_t readable) {
    constexpr int n = lanes<Raw>;
    Vector<Raw> v[stride];
    if (position >= 0 && position + stride * n <= readable) {
#pragma GCC unroll 4
      for (int j = 0; j < stride; ++j) v[j] = load(row + position + j * n);
    } else {
      const AcrossRowEnds<E> ends{row, length};
#pragma GCC unroll 4
      for (int j = 0; j < stride; ++j) v[j] = ends.at(position + j * n);
    }
    split(v, std::make_integer_sequence<int, stride>());
  }

 private:
  template <int... r>
  VOXPOOL_INLINE void split(const Vector<Raw> (&v)[stride], std::integer_sequence<int, r...>) {
    ((of[r] = E::decode(phase<Raw, r>(v))), ...);
  }
};

// A compile-time window over one row: every element is loaded once, on the grid of the row, and what a window shares
// with the vectors before and after it is shifted in. Tap t of window j is element (t * dilation - pad) % stride of
// group j + (t * dilation - pad) / stride, rounded down.
template <class E, Track track, int stride, int kernel, int pad, int dilation, class Sink>
VOXPOOL_INLINE void slide_row_first(const ColumnPass& pass, const InputRows<E>& rows, int64_t window,
                                    const Sink& sink) {
  using Raw = typename E::Raw;
  using Lane = typename E::Lane;
  constexpr int n = lanes<Raw>;
  constexpr int shift = (pad + stride - 1) / stride;  // groups before that of the window
  constexpr int last = (kernel - 1) * dilation - pad;
  constexpr bool needs_before = pad > 0, needs_after = last >= stride;
  static_assert(shift <= n && last / stride <= n);

  const int64_t length = pass.columns.size();
  const Raw* row = rows.data(0, window);
  const int64_t readable = pass.readable(row);
  const Codes<Lane> row_code = splat_code<Lane>(rows.rows[0].code);
  const int64_t begin = pass.columns.begin * stride;
  Phases<E, stride> before, here(row, begin, pass.w.in, readable), after;
  if (needs_before && begin > 0) before = Phases<E, stride>(row, begin - stride * n, pass.w.in, readable);

  for (int64_t i = 0; i < length; i += n) {
    const int64_t position = begin + i * stride;
#pragma GCC unroll 4
    for (int j = 0; j < stride; ++j) prefetch(row + position + j * n, prefetch_bytes);
    if (needs_after || i > 0) {
      // Where nothing after is needed, the next group is only loaded when its turn comes.
      if (needs_after) after = Phases<E, stride>(row, position + stride * n, pass.w.in, readable);
      if (!needs_after) here = Phases<E, stride>(row, position, pass.w.in, readable);
    }

    const auto tap = [&]<int t>(std::integral_constant<int, t>) VOXPOOL_LAMBDA_INLINE {
      constexpr int from = t * dilation - pad + shift * stride, r = from % stride, group = from / stride - shift;
      if constexpr (group < 0) return across_two<Lane, n + group>(before.of[r], here.of[r]);
      if constexpr (group == 0) return here.of[r];
      if constexpr (group > 0) return across_two<Lane, group>(here.of[r], after.of[r]);
    };
    Best<E, track> best{tap(std::integral_constant<int, 0>()), row_code};
    if constexpr (tracks_taps(track)) best.code += pass.tables.template first_taps<Lane>(pass.columns.begin + i);
    [&]<int... t>(std::integer_sequence<int, t...>) VOXPOOL_LAMBDA_INLINE {
      (best.take(tap(std::integral_constant<int, t + 1>()), row_code + splat_code<Lane>(t + 1)), ...);
    }
    (std::make_integer_sequence<int, kernel - 1>());
    sink.put(i, best, length);

    before = here;
    if (needs_after) here = after;
  }
}

template <class E, Track track, int stride, int kernel, int pad, int dilation, class Sink>
void slide_columns_first(const ColumnPass& given, InputRows<E> rows, const Sink& sink) {
  if (rows.count > 1) return reduce_columns_first<E, track, stride, 0>(given, rows, sink);
  const ColumnPass pass = given;
  for (int64_t i = 0; i < rows.windows; ++i) {
    slide_row_first<E, track, stride, kernel, pad, dilation>(pass, rows, i, sink.after(i * rows.output_step));
  }
}

// Any stride: one window at a time, gathered into a vector.
template <class E, Track track, class Sink>
void reduce_columns_first_scalar(const ColumnPass& pass, InputRows<E> rows, const Sink& sink) {
  using Raw = typename E::Raw;
  constexpr int n = lanes<Raw>;
  const int64_t length = pass.columns.size(), vectors = ceil_div(length, n);
  for (int64_t k = 0; k < rows.windows * vectors; ++k) {
    const int64_t window = k / vectors, i = k % vectors * n;
    Raw values[n] = {};
    uint8_t codes[n] = {};
    for (int64_t j = 0; j < n && i + j < length; ++j) {
      const int64_t column = pass.columns.begin + i + j;
      const Range taps = pass.w.taps(column);
      bool first = true;
      for (int r = 0; r < rows.count; ++r) {
        const Raw* row = rows.data(r, window) + pass.w.start(column);
        for (int64_t t = taps.begin; t < taps.end; ++t) {
          const Raw x = row[t * pass.w.dilation];
          if (!first && !voxpool::wins(E::element(x), E::element(values[j]))) continue;
          first = false;
          values[j] = x;
          codes[j] = static_cast<uint8_t>(rows.rows[r].code + t);
        }
      }
    }
    sink.after(window * rows.output_step)
        .put(i, Best<E, track>{E::decode(load(values)), load_codes<typename E::Lane>(codes)}, length);
  }
}

template <class E, Track track, class Sink>
ReduceColumns<E, Sink> select_reduce_columns_first(const Axis& w) {
  const auto is = [&](int64_t stride, int64_t kernel, int64_t pad, int64_t dilation = 1) {
    return w.dilation == dilation && w.stride == stride && w.kernel == kernel && w.pad_begin == pad;
  };
  if constexpr (knows_windows) {
    if (is(1, 3, 0)) return slide_columns_first<E, track, 1, 3, 0, 1, Sink>;
    if (is(1, 3, 1)) return slide_columns_first<E, track, 1, 3, 1, 1, Sink>;
    if (is(2, 2, w.pad_begin)) return reduce_columns_first<E, track, 2, 2, Sink>;
    if (is(2, 3, 0)) return slide_columns_first<E, track, 2, 3, 0, 1, Sink>;
    if (is(2, 3, 1)) return slide_columns_first<E, track, 2, 3, 1, 1, Sink>;
    if (is(2, 3, 1, 3)) return slide_columns_first<E, track, 2, 3, 1, 3, Sink>;
    if (is(2, 5, 2)) return slide_columns_first<E, track, 2, 5, 2, 1, Sink>;
    if (is(3, 3, w.pad_begin)) return reduce_columns_first<E, track, 3, 3, Sink>;
  }
  switch (w.stride) {
    case 1:
      return reduce_columns_first<E, track, 1, 0, Sink>;
    case 2:
      return reduce_columns_first<E, track, 2, 0, Sink>;
    case 3:
      return reduce_columns_first<E, track, 3, 0, Sink>;
    case 4:
      return reduce_columns_first<E, track, 4, 0, Sink>;
    default:
      return reduce_columns_first_scalar<E, track, Sink>;
  }
}

}  // namespace
}  // namespace voxpool::cpu::VOXPOOL_UNIT
