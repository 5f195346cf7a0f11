#pragma once

#include "cpu/kernels/column_pass.h"

// Windows of 3 x 3 that move by one element: the passes along w and h in one, in registers, six rows for four output
// rows. Channels-last loads a vector of channels from four columns for two of them, which lie in the first-level cache
// but for the last ones; channels-first loads each element once and shifts. Two passes write the maxima along w to a
// ring and load each three times again: the traffic between the caches is what limits them.
namespace voxpool::cpu::VOXPOOL_UNIT {
namespace {

constexpr int slide_rows = 4;  // output rows at once: the maxima along w of two columns take 12 registers

// Whether channels-first does so too: the vectors before, here and after stay in registers for six rows. With AVX2, of
// 16 registers, two passes took 5 to 20 % less time than this with four rows at once or with two.
#if defined(__AVX512F__)
constexpr bool slides_along_columns = true;
#else
constexpr bool slides_along_columns = false;
#endif

// The rows and columns of a tile of the output, and one plane of the input.
template <class E>
struct Slide {
  Axis h, w;
  Range rows, columns;
  int64_t channels;  // the elements from one column to the next: 1 in channels-first, else a multiple of the lanes
  const typename E::Raw* plane;
  int64_t row_stride, plane_stride;
  const typename E::Raw* lowest;  // rows in the padding: the columns of the tile, and those beside it

  int64_t first_column() const { return w.start(columns.begin); }
};

// Whether the windows of a plane can be reduced so.
template <class E>
bool can_slide(const Geometry& g, Layout layout, const Strides& input) {
  const auto fits = [](const Axis& axis) { return axis.kernel == 3 && axis.stride == 1 && axis.dilation == 1; };
  if (!knows_windows || !fits(g.h()) || !fits(g.w())) return false;
  if (layout == Layout::channels_first) return slides_along_columns && input.w == 1 && g.w().pad_begin <= 1;
  return g.channels % lanes<typename E::Raw> == 0 && input.w == g.channels;
}

// A plane between two passes, row behind row: what lies past the end of one belongs to the next.
template <class E>
struct ToPlane {
  typename E::Lane* values;

  VOXPOOL_INLINE ToPlane after(int64_t lanes) const { return {values + lanes}; }
  VOXPOOL_INLINE void put(int64_t i, const Best<E, Track::values>& best, int64_t length) const {
    store_first(values + i, best.value, length - i, Stores::cached);
  }
};

// The last plane of a window on its way into the ring: merged with the two before it, it is the output.
template <class E>
struct ThroughLastPlane {
  ToPlane<E> kept;
  const typename E::Lane* first;
  const typename E::Lane* second;
  ToOutput<E, Track::values> output;

  VOXPOOL_INLINE ThroughLastPlane after(int64_t lanes) const {
    return {kept.after(lanes), first + lanes, second + lanes, output.after(lanes)};
  }
  VOXPOOL_INLINE void put(int64_t i, const Best<E, Track::values>& best, int64_t length) const {
    kept.put(i, best, length);
    Best<E, Track::values> all{load(first + i), Codes<typename E::Lane>{}};
    all.take(load(second + i), Codes<typename E::Lane>{});
    all.take(best.value, best.code);
    output.put(i, all, length);
  }
};

// The maximum over h of what is the maximum over w in each row, for every output row: `count` lanes of it, or all.
template <class E, int rows, class Sink>
VOXPOOL_INLINE void slide_down(const Vector<typename E::Lane> (&along_w)[rows + 2], const Sink& sink, int64_t at,
                               int64_t output_step, int64_t count = lanes<typename E::Lane>) {
  using Lane = typename E::Lane;
  const auto put = [&](int o, Vector<Lane> maximum) VOXPOOL_LAMBDA_INLINE {
    const int64_t i = at + o * output_step;
    sink.put(i, Best<E, Track::values>{maximum, Codes<Lane>{}}, i + count);
  };
  // Two rows share a pair of taps.
#pragma GCC unroll 8
  for (int o = 0; o < rows; o += 2) {
    const Vector<Lane> shared = E::maximum(along_w[o + 2], along_w[o + 1]);
    put(o, E::maximum(shared, along_w[o]));
    if (o + 1 < rows) put(o + 1, E::maximum(along_w[o + 3], shared));
  }
}

VOXPOOL_INLINE bool inside(const Axis& axis, int64_t position) { return position >= 0 && position < axis.in; }

// Two columns at a time of channels-last; what the next call reads is asked for, `ahead` elements further on.
template <class E, int rows, class Sink>
VOXPOOL_INLINE void slide_window_last(const Slide<E>& slide, const typename E::Raw* const (&row)[rows + 2],
                                      int64_t ahead, const Sink& sink) {
  using Raw = typename E::Raw;
  using Lane = typename E::Lane;
  const int64_t first = slide.first_column(), count = slide.columns.size();
  for (int64_t column = 0; column < count; column += 2) {
    bool has[4];
    for (int t = 0; t < 4; ++t) has[t] = inside(slide.w, first + column + t);
    for (int64_t c = 0; c < slide.channels; c += lanes<Raw>) {
      const int64_t from = (first + column) * slide.channels + c;
      Vector<Lane> left[rows + 2], right[rows + 2];
#pragma GCC unroll 8
      for (int r = 0; r < rows + 2; ++r) {
        const auto at = [&](int t) VOXPOOL_LAMBDA_INLINE {
          return has[t] ? E::decode(load(row[r] + from + t * slide.channels)) : splat(E::lane_lowest);
        };
        // Two columns share a pair of taps.
        const Vector<Lane> shared = E::maximum(at(2), at(1));
        left[r] = E::maximum(shared, at(0));
        right[r] = E::maximum(at(3), shared);
        if (r >= 2) {
          prefetch(row[r] + ahead + from, 0);
          prefetch(row[r] + ahead + from + slide.channels, 0);
        }
      }
      const int64_t to_left = column * slide.channels + c, row_length = count * slide.channels;
      slide_down<E, rows>(left, sink, to_left, row_length);
      if (column + 1 < count) slide_down<E, rows>(right, sink, to_left + slide.channels, row_length);
    }
  }
}

// The same in channels-first, a vector of columns at a time: every element is loaded once, and what a window shares
// with the vectors before and after it is shifted in.
template <class E, int rows, int pad, class Sink>
VOXPOOL_INLINE void slide_window_first(const Slide<E>& slide, const typename E::Raw* const (&row)[rows + 2],
                                       const Sink& sink) {
  using Raw = typename E::Raw;
  using Lane = typename E::Lane;
  constexpr int n = lanes<Raw>;
  const int64_t count = slide.columns.size();
  const auto at = [&](int r, int64_t position) VOXPOOL_LAMBDA_INLINE {
    if (position + n <= slide.w.in) return E::decode(load(row[r] + position));
    return E::decode(load_range(row[r] + position, LaneRange<n>(0, slide.w.in - position), E::raw_lowest));
  };
  Vector<Lane> before[rows + 2], here[rows + 2];
#pragma GCC unroll 8
  for (int r = 0; r < rows + 2; ++r) {
    const int64_t begin = slide.columns.begin;
    before[r] = pad > 0 && begin > 0 ? E::decode(splat(row[r][begin - 1])) : splat(E::lane_lowest);
    here[r] = at(r, begin);
  }
  for (int64_t column = 0; column < count; column += n) {
    Vector<Lane> along_w[rows + 2];
    const int64_t position = slide.columns.begin + column;
#pragma GCC unroll 8
    for (int r = 0; r < rows + 2; ++r) {
      const Vector<Lane> after = at(r, position + n);
      if constexpr (pad == 1) {
        along_w[r] = E::maximum(E::maximum(across_two<Lane, 1>(here[r], after), here[r]),
                                across_two<Lane, n - 1>(before[r], here[r]));
      } else {
        along_w[r] =
            E::maximum(E::maximum(across_two<Lane, 2>(here[r], after), across_two<Lane, 1>(here[r], after)), here[r]);
      }
      before[r] = here[r];
      here[r] = after;
      if (r >= 2) prefetch(row[r] + position, prefetch_bytes);
    }
    slide_down<E, rows>(along_w, sink, column, count, count - column);
  }
}

// `rows` output rows from row oh on.
template <class E, Layout layout, int rows, class Sink>
void slide_window(const Slide<E>& given, int64_t oh, int64_t ahead, const Sink& sink) {
  const Slide<E> slide = given;  // copies that no store changes
  const Sink to = sink;
  const int64_t first = slide.first_column();
  const typename E::Raw* row[rows + 2];
  for (int r = 0; r < rows + 2; ++r) {
    const int64_t position = slide.h.start(oh) + r;
    row[r] = inside(slide.h, position) ? slide.plane + position * slide.row_stride
                                       : slide.lowest - (first > 0 ? first : 0) * slide.channels;
  }
  if constexpr (layout == Layout::channels_first) {
    if (slide.w.pad_begin == 1) {
      slide_window_first<E, rows, 1>(slide, row, to);
    } else {
      slide_window_first<E, rows, 0>(slide, row, to);
    }
  } else {
    slide_window_last<E, rows>(slide, row, ahead, to);
  }
}

// All rows of a tile, one behind the other in the sink.
template <class E, Layout layout, class Sink>
void slide_plane(const Slide<E>& slide, const Sink& sink) {
  const int64_t row_length = slide.columns.size() * slide.channels;
  for (int64_t oh = slide.rows.begin; oh < slide.rows.end; oh += slide_rows) {
    const int64_t left = slide.rows.end - oh;
    const int64_t ahead = left > slide_rows ? slide_rows * slide.row_stride
                                            : slide.plane_stride + (slide.rows.begin - oh) * slide.row_stride;
    const Sink to = sink.after((oh - slide.rows.begin) * row_length);
    if (left == 1) {
      slide_window<E, layout, 1>(slide, oh, ahead, to);
    } else if (left == 2) {
      slide_window<E, layout, 2>(slide, oh, ahead, to);
    } else if (left == 3) {
      slide_window<E, layout, 3>(slide, oh, ahead, to);
    } else {
      slide_window<E, layout, slide_rows>(slide, oh, ahead, to);
    }
  }
}

}  // namespace
}  // namespace voxpool::cpu::VOXPOOL_UNIT
