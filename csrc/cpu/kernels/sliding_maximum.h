#pragma once

#include <algorithm>

#include "cpu/kernels/separable_variants.h"
#include "cpu/kernels/slide_window.h"

// Values of 3 x 3 x 3 windows that move by one element, and of 1 x 3 x 3. Each strip of a plane is reduced along w and
// h in registers. Along d windows come in pairs: of the reduced planes P0 to P3 the first reads P0, P1 and P2, the
// second P1, P2 and P3. What they need of P0 and P1 is kept as `both`, the maximum of the two, and `second`, which is
// P1:
//
//   P2 comes: the first is max(both, P2), which ends the use of `both`, and P2 takes its place;
//   P3 comes: `both` becomes max(P2, P3), the second is max(second, both), and P3 becomes `second`.
//
// Two planes in the second-level cache do what takes three in a ring of the planes of a window, and are loaded less
// often. Later planes stand first in maximum(): ties stay with the earlier tap.
namespace voxpool::cpu::VOXPOOL_UNIT {
namespace {

// Where slide_down() puts maxima: rows of the output ...
template <class E>
struct ToOutputRows {
  using Lane = typename E::Lane;
  ToOutput<E, Track::values> output;
  int64_t step;

  VOXPOOL_INLINE bool exists() const { return output.values != nullptr; }
  VOXPOOL_INLINE void put(int row, int64_t lane, Vector<Lane> x, int64_t count, int64_t) const {
    output.after(row * step).put(lane, {x, Codes<Lane>{}}, lane + count);
  }
};

// ... the plane that ends the first window of a pair ...
template <class E>
struct FirstOfPair {
  using Lane = typename E::Lane;
  Lane* both;
  ToOutputRows<E> output;

  VOXPOOL_INLINE void put(int row, int64_t lane, Vector<Lane> x, int64_t count, int64_t slot) const {
    Lane* const at = both + slot * lanes<Lane>;
    output.put(row, lane, E::maximum(x, load(at)), count, slot);
    store(at, x);
  }
};

// ... the plane that ends the second; without an output it opens a pair ...
template <class E>
struct SecondOfPair {
  using Lane = typename E::Lane;
  Lane* both;
  Lane* second;
  ToOutputRows<E> output;

  VOXPOOL_INLINE void put(int row, int64_t lane, Vector<Lane> x, int64_t count, int64_t slot) const {
    const int64_t at = slot * lanes<Lane>;
    const Vector<Lane> maximum = E::maximum(x, load(both + at));
    if (output.exists()) output.put(row, lane, E::maximum(maximum, load(second + at)), count, slot);
    store(both + at, maximum);
    store(second + at, x);
  }
};

// ... and the plane that ends both, as only padding follows.
template <class E>
struct EndOfPair {
  using Lane = typename E::Lane;
  const Lane* both;
  const Lane* second;
  ToOutputRows<E> outputs[2];

  VOXPOOL_INLINE void put(int row, int64_t lane, Vector<Lane> x, int64_t count, int64_t slot) const {
    outputs[0].put(row, lane, E::maximum(x, load(both + slot * lanes<Lane>)), count, slot);
    outputs[1].put(row, lane, E::maximum(x, load(second + slot * lanes<Lane>)), count, slot);
  }
};

// Any of these, of the rows that a strip has.
template <class Sink>
struct FirstRows {
  Sink sink;
  int64_t rows;

  template <class V>
  VOXPOOL_INLINE void put(int row, int64_t lane, V x, int64_t count, int64_t slot) const {
    if (row < rows) sink.put(row, lane, x, count, slot);
  }
};

template <class E, Layout layout>
class SlidingMaximum {
  using Raw = typename E::Raw;
  using Lane = typename E::Lane;

 public:
  SlidingMaximum(const Forward& p, const Plan& plan)
      : p_(p),
        g_(p.geometry),
        plan_(plan),
        channels_(layout == Layout::channels_first ? 1 : g_.channels),
        plane_stride_(g_.d().in > 1 ? p.input_strides.d : 0),
        row_stride_(g_.h().in > 1 ? p.input_strides.h : 0),
        strip_lanes_(slots_of_strip<layout>(plan.columns, channels_, lanes<Lane>) * lanes<Lane>),
        kept_lanes_(g_.d().kernel == 1 ? 0 : strip_lanes_ * ceil_div(plan.rows, int64_t{slide_rows})),
        stores_(stores_of(p, layout, plan, p.output, sizeof(Raw))),
        scratch_(2 * Scratch::bytes_for<Lane>(kept_lanes_)),
        both_(scratch_.template take<Lane>(kept_lanes_)),
        second_(scratch_.template take<Lane>(kept_lanes_)) {}

  void run(int64_t begin, int64_t end) {
    Tiles tiles(g_, layout, plan_, begin);
    for (int64_t unit = begin; unit < end; ++unit) run_tile(tiles.next());
    if (p_.stream) finish_stream();
  }

 private:
  void run_tile(const Tile& t) {
    const Strides &in = p_.input_strides, &out = p_.output_strides;
    const Axis& d = g_.d();
    volume_ = static_cast<const Raw*>(p_.input) + t.n * in.n + t.c * in.c;
    output_ = static_cast<Raw*>(p_.output) + t.n * out.n + t.c * out.c + t.w.begin * out.w;
    if (d.kernel == 1) {
      for (int64_t od = t.d.begin; od < t.d.end; ++od)
        slide(t, d.start(od), d.stride, [&](const Strip& strip, int64_t) { return output_rows(strip, od); });
      return;
    }
    open_pair(t, d.start(t.d.begin));
    for (int64_t od = t.d.begin; od < t.d.end; od += 2) run_pair(t, od);
  }

  // The first two planes of a tile.
  void open_pair(const Tile& t, int64_t plane) const {
    std::fill_n(both_, kept_lanes_, E::lane_lowest);
    for (int64_t i = plane < 0 ? plane + 1 : plane; i < plane + 2; ++i) {
      slide(t, i, 1, [&](const Strip&, int64_t lane) { return SecondOfPair<E>{both_ + lane, second_ + lane, {}}; });
    }
  }

  // Outputs od and od + 1, unless the tile ends before it.
  void run_pair(const Tile& t, int64_t od) const {
    const int64_t plane = g_.d().start(od) + 2;
    if (od + 2 == t.d.end && plane + 1 >= g_.d().in) {
      slide(t, plane, 1, [&](const Strip& strip, int64_t lane) {
        return EndOfPair<E>{both_ + lane, second_ + lane, {output_rows(strip, od), output_rows(strip, od + 1)}};
      });
      return;
    }
    slide(t, plane, 1, [&](const Strip& strip, int64_t lane) {
      return FirstOfPair<E>{both_ + lane, output_rows(strip, od)};
    });
    if (od + 1 == t.d.end) return;
    slide(t, plane + 1, 1, [&](const Strip& strip, int64_t lane) {
      return SecondOfPair<E>{both_ + lane, second_ + lane, output_rows(strip, od + 1)};
    });
  }

  // Reduces a plane, or the nearest one inside the input: as no window is all padding, that is one of the same window,
  // and taking it twice changes nothing. `sink_of(strip, lane)` takes a strip, whose part of what is kept begins at a
  // lane. Asks for the rows that come next, in this plane or the one that is `planes` further on.
  template <class SinkOf>
  void slide(const Tile& t, int64_t plane, int64_t planes, const SinkOf& sink_of) const {
    const Raw* from = volume_ + std::clamp<int64_t>(plane, 0, g_.d().in - 1) * plane_stride_;
    const Slide<E> slide{g_.h(), g_.w(), channels_, row_stride_};
    const int64_t row_bytes = std::max<int64_t>(row_stride_ * static_cast<int64_t>(sizeof(Raw)), 1);
    const int64_t rows_ahead = layout == Layout::channels_last ? slide_rows : ceil_div(prefetch_bytes, row_bytes);
    int64_t lane = 0;
    for (int64_t oh = t.h.begin; oh < t.h.end; oh += slide_rows, lane += strip_lanes_) {
      const Strip strip{{oh, std::min(oh + slide_rows, t.h.end)}, t.w};
      const bool leaves = oh + rows_ahead >= t.h.end;
      const int64_t ahead =
          leaves ? planes * plane_stride_ + (rows_ahead - t.h.size()) * row_stride_ : rows_ahead * row_stride_;
      const FirstRows<decltype(sink_of(strip, lane))> sink{sink_of(strip, lane), strip.rows.size()};
      if (strip.rows.size() > 2) {
        slide_strip<E, layout, slide_rows>(slide, strip, from, ahead, sink);
      } else {
        slide_strip<E, layout, 2>(slide, strip, from, ahead, sink);
      }
    }
  }

  ToOutputRows<E> output_rows(const Strip& strip, int64_t od) const {
    const Strides& out = p_.output_strides;
    return {{output_ + od * out.d + strip.rows.begin * out.h, nullptr, p_.relu, stores_}, out.h};
  }

  const Forward& p_;
  const Geometry& g_;
  const Plan& plan_;
  const int64_t channels_;                   // lanes per column
  const int64_t plane_stride_, row_stride_;  // of the input, 0 where there is one
  const int64_t strip_lanes_, kept_lanes_;
  const Stores stores_;
  Scratch scratch_;
  Lane* const both_;
  Lane* const second_;

  // Of the current tile.
  const Raw* volume_ = nullptr;
  Raw* output_ = nullptr;
};

template <Layout layout>
const char* sliding_refusal(const Forward& p) {
  const Geometry& g = p.geometry;
  const auto slides = [](const Axis& axis) { return axis.kernel == 3 && axis.stride == 1 && axis.dilation == 1; };
  if (wants_taps(p)) return "taps or indices are asked for";
  if (!slides(g.h()) || !slides(g.w())) return "windows are not 3 x 3 that move by one element along h and w";
  if (g.d().kernel != 1 && !slides(g.d())) return "windows are not 1 x 3 x 3, or 3 x 3 x 3 that move by one plane";
  if (!has_dense_rows(p, layout)) return "rows of the output are not one run of memory";
  if constexpr (layout == Layout::channels_first) {
    if (g.w().pad_begin > 1) return "rows begin with more than one column of padding";
    return channels_first_refusal(p);
  } else {
    if (const char* refusal = channels_last_refusal(p)) return refusal;
    if (!in_memory_order(p).in_scan_order) return "the axes d, h, w are not in this order in memory";
    if (p.input_strides.w != g.channels) return "columns do not lie next to each other";
    if (g.channels % (vector_bytes / static_cast<int64_t>(size_of(p.dtype))) != 0)
      return "channels do not fill vectors";
    return nullptr;
  }
}

// Two planes: of whole vectors of columns in channels-first, of pairs of columns in channels-last.
template <Layout layout>
KeptRows kept_by_sliding(const Geometry& g, ScalarType dtype) {
  const auto size = static_cast<int64_t>(size_of(dtype));
  const int64_t step = layout == Layout::channels_first ? vector_bytes / size : 2;
  const int64_t columns = std::clamp<int64_t>(g.w().out, 1, 1 << 20);  // of more, the last step adds next to nothing
  const int64_t lane_bytes = ceil_div(ceil_div(columns, step) * step * size, columns);
  return {{0, g.d().kernel == 1 ? 0 : 2}, lane_bytes, slide_rows};
}

template <Layout layout>
Plan sliding_plan(const Forward& p, int64_t threads) {
  return plan_tiles(p.geometry, layout, kept_by_sliding<layout>(p.geometry, p.dtype), threads, scratch_budget());
}

template <Layout layout>
void sliding_run(const Forward& p, const Plan& plan, int64_t begin, int64_t end) {
  dispatch(p.dtype, [&]<class T>(T) { SlidingMaximum<ElementLanes<T>, layout>(p, plan).run(begin, end); });
}

}  // namespace
}  // namespace voxpool::cpu::VOXPOOL_UNIT
