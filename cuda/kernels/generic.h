#pragma once

#include "core/problem.h"
#include "cuda/kernels/maximum.h"

// Kernels for any window, any strides and any number of elements: one thread for one element, its taps in a loop, all
// sizes in 64 bits.
namespace voxpool::cuda::generic {

// An element of a (N, C, D, H, W) tensor and its distance from the first.
struct Element {
  int64_t n, c, d, h, w;

  VOXPOOL_DEVICE int64_t offset(const Strides& s) const { return n * s.n + c * s.c + d * s.d + h * s.h + w * s.w; }
};

// The elements of a tensor in the order in which threads share them out: the channels first where they lie closest
// together.
struct Elements {
  int64_t channels, depth, height, width;
  bool channels_inner;

  VOXPOOL_DEVICE Element at(int64_t item) const {
    Element e;
    const auto split = [&](int64_t size) {
      const int64_t whole = item / size, rest = item - whole * size;
      item = whole;
      return rest;
    };
    if (channels_inner) e.c = split(channels);
    e.w = split(width);
    e.h = split(height);
    e.d = split(depth);
    if (!channels_inner) e.c = split(channels);
    e.n = item;
    return e;
  }
};

// Taps in the type that holds the codes of the window.
VOXPOOL_DEVICE int64_t read_tap(const void* taps, TapType type, int64_t at) {
  return type == TapType::u8    ? static_cast<const uint8_t*>(taps)[at]
         : type == TapType::i32 ? static_cast<const int32_t*>(taps)[at]
                                : static_cast<const int64_t*>(taps)[at];
}

VOXPOOL_DEVICE void write_tap(void* taps, TapType type, int64_t at, int64_t tap) {
  if (type == TapType::u8) {
    static_cast<uint8_t*>(taps)[at] = static_cast<uint8_t>(tap);
  } else if (type == TapType::i32) {
    static_cast<int32_t*>(taps)[at] = static_cast<int32_t>(tap);
  } else {
    static_cast<int64_t*>(taps)[at] = tap;
  }
}

VOXPOOL_DEVICE int64_t no_tap_of(TapType type) {
  return type == TapType::u8 ? no_tap<uint8_t> : type == TapType::i32 ? no_tap<int32_t> : no_tap<int64_t>;
}

template <class T, Keep keep>
struct ForwardAny {
  using Item = int64_t;
  using Compared = Comparable<T>;

  Forward p;
  Elements outputs;

  VOXPOOL_DEVICE void operator()(int64_t item) const {
    const Geometry& g = p.geometry;
    const Element e = outputs.at(item);
    const Range rd = g.d().taps(e.d), rh = g.h().taps(e.h), rw = g.w().taps(e.w);
    const Strides& s = p.input_strides;
    const int64_t step_d = s.d * g.d().dilation, step_h = s.h * g.h().dilation, step_w = s.w * g.w().dilation;
    const T* const input = static_cast<const T*>(p.input);
    const int64_t first =
        e.n * s.n + e.c * s.c + g.d().start(e.d) * s.d + g.h().start(e.h) * s.h + g.w().start(e.w) * s.w;

    const int64_t base = p.code.base(g, e.d, e.h, e.w);
    const bool empty = rd.empty() || rh.empty() || rw.empty();
    auto best = Compared::lowest();
    int64_t tap = empty ? no_tap_of(p.code.type)
                        : base + rd.begin * p.code.step[0] + rh.begin * p.code.step[1] + rw.begin * p.code.step[2];
    if (!empty) {
      for (int64_t td = rd.begin; td < rd.end; ++td) {
        for (int64_t th = rh.begin; th < rh.end; ++th) {
          const int64_t row = first + td * step_d + th * step_h;
          const int64_t row_code = base + td * p.code.step[0] + th * p.code.step[1];
          for (int64_t tw = rw.begin; tw < rw.end; ++tw) {
            const auto x = Compared::load(input[row + tw * step_w]);
            const bool better = Compared::wins(x, best);
            best = better ? x : best;
            if constexpr (keep == Keep::taps) tap = better ? row_code + tw * p.code.step[2] : tap;
          }
        }
      }
    }
    if (p.relu && !Compared::wins(best, Compared::load(T{}))) {
      best = Compared::load(T{});
      tap = no_tap_of(p.code.type);
    }
    const int64_t o = e.offset(p.output_strides);
    static_cast<T*>(p.output)[o] = Compared::store(best);
    if constexpr (keep == Keep::taps) {
      if (p.taps != nullptr) write_tap(p.taps, p.code.type, o, tap);
      if (p.indices != nullptr) p.indices[o] = input_position(g, p.code, tap, e.d, e.h, e.w);
    }
  }
};

template <class T>
struct BackwardAny {
  using Item = int64_t;

  Backward p;
  Elements inputs;

  VOXPOOL_DEVICE void operator()(int64_t item) const {
    const Geometry& g = p.geometry;
    const Element e = inputs.at(item);
    const Strides& out = p.output_strides;
    const int64_t volume = e.n * out.n + e.c * out.c;
    const Range wd = g.d().windows(e.d), wh = g.h().windows(e.h), ww = g.w().windows(e.w);
    Sum<T> sum = 0;
    for (int64_t od = wd.begin; od < wd.end; ++od) {
      const int64_t td = g.d().tap_on(od, e.d);
      if (td < 0) continue;
      for (int64_t oh = wh.begin; oh < wh.end; ++oh) {
        const int64_t th = g.h().tap_on(oh, e.h);
        if (th < 0) continue;
        for (int64_t ow = ww.begin; ow < ww.end; ++ow) {
          const int64_t tw = g.w().tap_on(ow, e.w);
          if (tw < 0) continue;
          const int64_t code =
              p.code.base(g, od, oh, ow) + td * p.code.step[0] + th * p.code.step[1] + tw * p.code.step[2];
          const int64_t o = volume + od * out.d + oh * out.h + ow * out.w;
          if (read_tap(p.taps, p.code.type, o) == code) sum += widen(static_cast<const T*>(p.grad_output)[o]);
        }
      }
    }
    static_cast<T*>(p.grad_input)[e.offset(p.input_strides)] = narrow<T>(sum);
  }
};

// Only moves elements: T stands for every type of its size.
template <class T>
struct GatherAny {
  using Item = int64_t;

  Gather p;
  Elements outputs;

  VOXPOOL_DEVICE void operator()(int64_t item) const {
    const Element e = outputs.at(item);
    const int64_t o = e.offset(p.output_strides);
    const int64_t position = input_position(p.geometry, p.code, read_tap(p.taps, p.code.type, o), e.d, e.h, e.w);
    const int64_t row = p.geometry.w().in, plane = p.geometry.h().in * row;
    const Element from{e.n, e.c, position / plane, position % plane / row, position % row};
    static_cast<T*>(p.output)[o] = position < 0 ? T{} : static_cast<const T*>(p.input)[from.offset(p.input_strides)];
  }
};

struct TapIndicesAny {
  using Item = int64_t;

  TapIndices p;
  Elements outputs;

  VOXPOOL_DEVICE void operator()(int64_t item) const {
    const Element e = outputs.at(item);
    const int64_t o = e.offset(p.output_strides);
    p.indices[o] = input_position(p.geometry, p.code, read_tap(p.taps, p.code.type, o), e.d, e.h, e.w);
  }
};

}  // namespace voxpool::cuda::generic
