#pragma once

#include <algorithm>

#include "cpu/kernels/column_pass.h"

// Windows of 3 x 3 that move by one element, in one plane: along w and h at once, in registers, six rows for four
// output rows. Channels-last loads a vector of channels from four columns for two of them, which lie in the first-level
// cache but for the last ones; channels-first loads each element once and shifts, which takes the registers of AVX-512
// for the vectors before, here and after (with 16, two passes took 5 to 20 % less time). Two passes write the maxima
// along w to a ring and load each three times again: the traffic between the caches is what limits them.
namespace voxpool::cpu::VOXPOOL_UNIT {
namespace {

constexpr int slide_rows = 4;  // output rows at once: the maxima along w of two columns take 12 registers

// Some rows of the output, at most `slide_rows`, and some of their columns.
struct Strip {
  Range rows, columns;
};

// How many vectors of `lanes` a strip of some columns takes, those of rows that it may lack included.
template <Layout layout>
int64_t slots_of_strip(int64_t columns, int64_t channels, int64_t lanes) {
  if (layout == Layout::channels_first) return ceil_div(columns, lanes) * slide_rows;
  return ceil_div(columns, 2) * (channels / lanes) * 2 * slide_rows;
}

// What the strips of a plane have in common. In place of a row outside the input stands the nearest one inside, and of
// a column in channels-last: as no window is all padding, it is one of the same window, and taking it twice changes
// nothing.
template <class E>
struct Slide {
  using Raw = typename E::Raw;

  Axis h, w;
  int64_t channels;    // the elements from one column to the next: 1 in channels-first, else a multiple of the lanes
  int64_t row_stride;  // of the input

  template <int count>
  void rows_of(const Strip& strip, const Raw* plane, const Raw* (&row)[count]) const {
    const int64_t first = h.start(strip.rows.begin);
    for (int r = 0; r < count; ++r) row[r] = plane + std::clamp<int64_t>(first + r, 0, h.in - 1) * row_stride;
  }
};

// Asks for the input at the columns of a strip, some rows further on.
template <class E, int rows>
struct Ahead {
  const typename E::Raw* first;
  int64_t row_stride;

  VOXPOOL_INLINE void ask(int64_t position) const {
#pragma GCC unroll 8
    for (int r = 0; r < rows; ++r) prefetch(first + r * row_stride + position, 0);
  }
};

// The maximum over h of what is the maximum over w in each row, for every output row. put(row, lane, maximum, count,
// slot) takes them: `count` lanes or all, and the number of the vector in the order in which a strip is reduced.
template <class E, int rows, class Sink>
VOXPOOL_INLINE void slide_down(const Vector<typename E::Lane> (&along_w)[rows + 2], const Sink& sink, int64_t at,
                               int64_t count, int64_t slot) {
  // Two rows share a pair of taps.
#pragma GCC unroll 8
  for (int o = 0; o < rows; o += 2) {
    const Vector<typename E::Lane> shared = E::maximum(along_w[o + 2], along_w[o + 1]);
    sink.put(o, at, E::maximum(shared, along_w[o]), count, slot + o);
    sink.put(o + 1, at, E::maximum(along_w[o + 3], shared), count, slot + o + 1);
  }
}

// Channels-last, two columns at a time.
template <class E, int rows, class Sink>
VOXPOOL_INLINE void slide_last(const Slide<E>& slide, const Range columns,
                               const typename E::Raw* const (&row)[rows + 2], const Ahead<E, rows>& ahead,
                               const Sink& sink) {
  using Raw = typename E::Raw;
  using Lane = typename E::Lane;
  constexpr int n = lanes<Raw>;
  const int64_t first = slide.w.start(columns.begin), count = columns.size(), channels = slide.channels;
  int64_t slot = 0;
  for (int64_t column = 0; column < count; column += 2) {
    int64_t from[4];
    for (int t = 0; t < 4; ++t) from[t] = std::clamp<int64_t>(first + column + t, 0, slide.w.in - 1) * channels;
    for (int64_t c = 0; c < channels; c += n, slot += 2 * slide_rows) {
      Vector<Lane> left[rows + 2], right[rows + 2];
#pragma GCC unroll 8
      for (int r = 0; r < rows + 2; ++r) {
        const auto at = [&](int t) VOXPOOL_LAMBDA_INLINE { return E::decode(load(row[r] + from[t] + c)); };
        // Two columns share a pair of taps.
        const Vector<Lane> shared = E::maximum(at(2), at(1));
        left[r] = E::maximum(shared, at(0));
        right[r] = E::maximum(at(3), shared);
      }
      const int64_t to = column * channels + c;
      ahead.ask(to);
      ahead.ask(to + channels);
      slide_down<E, rows>(left, sink, to, n, slot);
      if (column + 1 < count) slide_down<E, rows>(right, sink, to + channels, n, slot + slide_rows);
    }
  }
}

// Channels-first, a vector of columns at a time: every element is loaded once, and what a window shares with the
// vectors before and after it is shifted in.
template <class E, int rows, class Sink>
VOXPOOL_INLINE void slide_first(const Slide<E>& slide, const Range columns,
                                const typename E::Raw* const (&row)[rows + 2], const Ahead<E, rows>& ahead,
                                const Sink& sink) {
  using Raw = typename E::Raw;
  using Lane = typename E::Lane;
  constexpr int n = lanes<Raw>;
  const int64_t centre = slide.w.start(columns.begin) + 1, count = columns.size();  // of the first window
  const auto at = [&](int r, int64_t position) VOXPOOL_LAMBDA_INLINE {
    if (position + n <= slide.w.in) return E::decode(load(row[r] + position));
    return E::decode(load_range(row[r] + position, LaneRange<n>(0, slide.w.in - position), E::raw_lowest));
  };
  Vector<Lane> before[rows + 2], here[rows + 2];
#pragma GCC unroll 8
  for (int r = 0; r < rows + 2; ++r) {
    before[r] = centre > 0 ? E::decode(splat(row[r][centre - 1])) : splat(E::lane_lowest);
    here[r] = at(r, centre);
  }
  for (int64_t column = 0; column < count; column += n) {
    Vector<Lane> along_w[rows + 2];
#pragma GCC unroll 8
    for (int r = 0; r < rows + 2; ++r) {
      const Vector<Lane> after = at(r, centre + column + n);
      along_w[r] = E::maximum(E::maximum(across_two<Lane, 1>(here[r], after), here[r]),
                              across_two<Lane, n - 1>(before[r], here[r]));
      before[r] = here[r];
      here[r] = after;
    }
    ahead.ask(column);
    slide_down<E, rows>(along_w, sink, column, count - column, column / n * slide_rows);
  }
}

// One strip of a plane, of `rows` rows or less. What a later one reads, `ahead` elements further on, is asked for.
template <class E, Layout layout, int rows, class Sink>
__attribute__((noinline)) void slide_strip(const Slide<E>& given, const Strip& strip, const typename E::Raw* plane,
                                           int64_t ahead, const Sink& given_sink) {
  const Slide<E> slide = given;  // copies that no store changes
  const Sink sink = given_sink;
  const Range columns = strip.columns;
  const typename E::Raw* row[rows + 2];
  slide.rows_of(strip, plane, row);
  // The rows that the strip there does not share with the one before it.
  const int64_t new_row = slide.h.start(strip.rows.begin) + 2;
  const Ahead<E, rows> later{plane + ahead + new_row * slide.row_stride + columns.begin * slide.channels,
                             slide.row_stride};
  if constexpr (layout == Layout::channels_last) {
    slide_last<E, rows>(slide, columns, row, later, sink);
  } else {
    slide_first<E, rows>(slide, columns, row, later, sink);
  }
}

}  // namespace
}  // namespace voxpool::cpu::VOXPOOL_UNIT
