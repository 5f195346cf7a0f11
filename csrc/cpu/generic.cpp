#include "cpu/generic.h"

#include "core/element.h"

namespace voxpool::cpu {
namespace {

// A unit is one row (n, c, d, h), or all channels of one row (n, d, h) where channels lie closer together than columns.
struct Rows {
  int64_t channel_run;
  int64_t channel_groups;
  int64_t depth, height;

  Rows(const Geometry& g, const Strides& strides, int64_t depth, int64_t height)
      : channel_run(strides.c < strides.w ? g.channels : 1),
        channel_groups(g.channels / channel_run),
        depth(depth),
        height(height) {}

  int64_t units(int64_t batch) const { return batch * channel_groups * depth * height; }
};

struct Row {
  int64_t n, c, d, h;

  Row(int64_t unit, const Rows& rows)
      : n(unit / rows.height / rows.depth / rows.channel_groups),
        c(unit / rows.height / rows.depth % rows.channel_groups),
        d(unit / rows.height % rows.depth),
        h(unit % rows.height) {}

  int64_t offset(const Strides& s) const { return n * s.n + c * s.c + d * s.d + h * s.h; }
};

Rows output_rows(const Geometry& g, const Strides& strides) { return {g, strides, g.d().out, g.h().out}; }
Rows input_rows(const Geometry& g, const Strides& strides) { return {g, strides, g.d().in, g.h().in}; }

template <class Problem>
const char* no_refusal(const Problem&) {
  return nullptr;
}

template <class Problem>
Plan plan_output_rows(const Problem& p, int64_t) {
  return {.units = output_rows(p.geometry, p.output_strides).units(p.geometry.batch)};
}

Plan plan_input_rows(const Backward& p, int64_t) {
  return {.units = input_rows(p.geometry, p.input_strides).units(p.geometry.batch)};
}

template <class F>
void dispatch_tap(TapType type, F&& f) {
  switch (type) {
    case TapType::u8:
      return f(uint8_t{});
    case TapType::i32:
      return f(int32_t{});
    case TapType::i64:
      return f(int64_t{});
  }
}

template <class T>
struct Maximum {
  T value;
  int64_t tap;
};

// The maximum over the taps inside the input of one window whose tap (0, 0, 0) is at `origin`, which may lie outside.
template <class T>
Maximum<T> window_maximum(const T* origin, const Strides& tap_stride, const TapCode& code, int64_t base, Range rd,
                          Range rh, Range rw) {
  Maximum<T> best{lowest<T>(), base + rd.begin * code.step[0] + rh.begin * code.step[1] + rw.begin * code.step[2]};
  for (int64_t td = rd.begin; td < rd.end; ++td) {
    for (int64_t th = rh.begin; th < rh.end; ++th) {
      const int64_t row = td * tap_stride.d + th * tap_stride.h;
      const int64_t row_code = base + td * code.step[0] + th * code.step[1];
      for (int64_t tw = rw.begin; tw < rw.end; ++tw) {
        const T x = origin[row + tw * tap_stride.w];
        if (wins(x, best.value)) best = {x, row_code + tw * code.step[2]};
      }
    }
  }
  return best;
}

template <class T, class Tap>
void forward_rows(const Forward& p, int64_t begin, int64_t end) {
  const Geometry& g = p.geometry;
  const Strides &in = p.input_strides, &out = p.output_strides;
  const Strides tap_stride{0, 0, in.d * g.d().dilation, in.h * g.h().dilation, in.w * g.w().dilation};
  const Rows rows = output_rows(g, out);
  const T* input = static_cast<const T*>(p.input);
  T* output = static_cast<T*>(p.output);
  Tap* taps = static_cast<Tap*>(p.taps);

  for (int64_t unit = begin; unit < end; ++unit) {
    const Row row(unit, rows);
    const Range rd = g.d().taps(row.d), rh = g.h().taps(row.h);
    const int64_t in_row = row.n * in.n + row.c * in.c + g.d().start(row.d) * in.d + g.h().start(row.h) * in.h;
    for (int64_t ow = 0; ow < g.w().out; ++ow) {
      const Range rw = g.w().taps(ow);
      const bool empty = rd.empty() || rh.empty() || rw.empty();
      const int64_t base = p.code.base(g, row.d, row.h, ow);
      for (int64_t c = 0; c < rows.channel_run; ++c) {
        const T* origin = input + (in_row + g.w().start(ow) * in.w + c * in.c);
        Maximum<T> best =
            empty ? Maximum<T>{lowest<T>(), no_tap<Tap>} : window_maximum(origin, tap_stride, p.code, base, rd, rh, rw);
        if (p.relu && !wins(best.value, T{})) best = {T{}, no_tap<Tap>};
        const int64_t o = row.offset(out) + ow * out.w + c * out.c;
        output[o] = best.value;
        if (taps != nullptr) taps[o] = static_cast<Tap>(best.tap);
        if (p.indices != nullptr) p.indices[o] = input_position(g, p.code, best.tap, row.d, row.h, ow);
      }
    }
  }
}

void run_forward(const Forward& p, const Plan&, int64_t begin, int64_t end) {
  dispatch(p.dtype, [&]<class T>(T) {
    dispatch_tap(p.code.type, [&]<class Tap>(Tap) { forward_rows<T, Tap>(p, begin, end); });
  });
}

// Sum of the gradients whose tap is input element (d, h, w) of one channel.
template <class T, class Tap>
Sum<T> gradient_at(const Backward& p, const T* grad_output, const Tap* taps, int64_t d, int64_t h, int64_t w) {
  const Geometry& g = p.geometry;
  const Strides& out = p.output_strides;
  const Range wd = g.d().windows(d), wh = g.h().windows(h), ww = g.w().windows(w);
  Sum<T> sum = 0;
  for (int64_t od = wd.begin; od < wd.end; ++od) {
    const int64_t td = g.d().tap_on(od, d);
    if (td < 0) continue;
    for (int64_t oh = wh.begin; oh < wh.end; ++oh) {
      const int64_t th = g.h().tap_on(oh, h);
      if (th < 0) continue;
      for (int64_t ow = ww.begin; ow < ww.end; ++ow) {
        const int64_t tw = g.w().tap_on(ow, w);
        if (tw < 0) continue;
        const int64_t code =
            p.code.base(g, od, oh, ow) + td * p.code.step[0] + th * p.code.step[1] + tw * p.code.step[2];
        const int64_t o = od * out.d + oh * out.h + ow * out.w;
        if (taps[o] == code) sum += widen(grad_output[o]);
      }
    }
  }
  return sum;
}

template <class T, class Tap>
void backward_rows(const Backward& p, int64_t begin, int64_t end) {
  const Geometry& g = p.geometry;
  const Strides &in = p.input_strides, &out = p.output_strides;
  const Rows rows = input_rows(g, in);
  const T* grad_output = static_cast<const T*>(p.grad_output);
  const Tap* taps = static_cast<const Tap*>(p.taps);
  T* grad_input = static_cast<T*>(p.grad_input);

  for (int64_t unit = begin; unit < end; ++unit) {
    const Row row(unit, rows);
    for (int64_t w = 0; w < g.w().in; ++w) {
      for (int64_t c = 0; c < rows.channel_run; ++c) {
        const int64_t volume = row.n * out.n + (row.c + c) * out.c;
        grad_input[row.offset(in) + w * in.w + c * in.c] =
            narrow<T>(gradient_at(p, grad_output + volume, taps + volume, row.d, row.h, w));
      }
    }
  }
}

void run_backward(const Backward& p, const Plan&, int64_t begin, int64_t end) {
  dispatch_floating(p.dtype, [&]<class T>(T) {
    dispatch_tap(p.code.type, [&]<class Tap>(Tap) { backward_rows<T, Tap>(p, begin, end); });
  });
}

// Calls f(n, c, offset, position) for every output of the units [begin, end): `offset` is its place in the output,
// `position` the flat position of its tap in the input, or -1.
template <class Problem, class F>
void for_each_tap(const Problem& p, int64_t begin, int64_t end, F&& f) {
  const Geometry& g = p.geometry;
  const Strides& out = p.output_strides;
  const Rows rows = output_rows(g, out);
  dispatch_tap(p.code.type, [&]<class Tap>(Tap) {
    const Tap* taps = static_cast<const Tap*>(p.taps);
    for (int64_t unit = begin; unit < end; ++unit) {
      const Row row(unit, rows);
      for (int64_t ow = 0; ow < g.w().out; ++ow) {
        for (int64_t c = 0; c < rows.channel_run; ++c) {
          const int64_t o = row.offset(out) + ow * out.w + c * out.c;
          f(row.n, row.c + c, o, input_position(g, p.code, taps[o], row.d, row.h, ow));
        }
      }
    }
  });
}

template <class T>
void gather_rows(const Gather& p, int64_t begin, int64_t end) {
  const Strides& in = p.input_strides;
  const int64_t row = p.geometry.w().in, plane = p.geometry.h().in * row;
  const T* input = static_cast<const T*>(p.input);
  T* output = static_cast<T*>(p.output);
  for_each_tap(p, begin, end, [&](int64_t n, int64_t c, int64_t o, int64_t position) {
    const int64_t offset =
        n * in.n + c * in.c + position / plane * in.d + position % plane / row * in.h + position % row * in.w;
    output[o] = position < 0 ? T{} : input[offset];
  });
}

void run_gather(const Gather& p, const Plan&, int64_t begin, int64_t end) {
  dispatch_size(p.dtype, [&]<class T>(T) { gather_rows<T>(p, begin, end); });
}

void run_tap_indices(const TapIndices& p, const Plan&, int64_t begin, int64_t end) {
  for_each_tap(p, begin, end, [&](int64_t, int64_t, int64_t o, int64_t position) { p.indices[o] = position; });
}

}  // namespace

const Variant<Forward> generic_forward{"generic", no_refusal<Forward>, plan_output_rows<Forward>, run_forward};
const Variant<Backward> generic_backward{"generic", no_refusal<Backward>, plan_input_rows, run_backward};
const Variant<Gather> generic_gather{"generic", no_refusal<Gather>, plan_output_rows<Gather>, run_gather};
const Variant<TapIndices> generic_tap_indices{"generic", no_refusal<TapIndices>, plan_output_rows<TapIndices>,
                                              run_tap_indices};

}  // namespace voxpool::cpu
