#pragma once

#include "cpu/kernels/gather_row_first.h"
#include "cpu/kernels/gather_row_last.h"
#include "cpu/kernels/scratch.h"
#include "cpu/tile_plan.h"

// Backward pooling as a gather over rows of grad_input: every element is written exactly once, and adds its gradients
// in ascending order of the outputs, starting from +0. Tiles go through the planes of a strip of rows in order, so that
// the rows of grad_output that several planes need are still at hand.
namespace voxpool::cpu::VOXPOOL_UNIT {
namespace {

// The windows along d and h that read each input row.
struct RowWindows {
  WindowTable d, h;

  static int64_t bytes(const Geometry& g) { return WindowTable::bytes(g.d()) + WindowTable::bytes(g.h()); }
  RowWindows(const Geometry& g, Scratch& scratch) : d(g.d(), scratch), h(g.h(), scratch) {}

  // Calls f(od, oh, code of the tap (td, th, 0)) in ascending order for every output row that reads input row (id, ih).
  template <class F>
  VOXPOOL_INLINE void for_each(const TapCode& code, int64_t id, int64_t ih, F&& f) const {
    const InputWindows planes = d[id], lines = h[ih];
    for (int64_t i = 0; i < planes.count; ++i) {
      for (int64_t j = 0; j < lines.count; ++j) {
        f(planes.windows[i].output, lines.windows[j].output,
          planes.windows[i].tap * code.step[0] + lines.windows[j].tap * code.step[1]);
      }
    }
  }
};

// The gradients and taps of one volume.
template <class T>
struct OutputVolume {
  const T* gradient;
  const uint8_t* taps;

  OutputVolume(const Backward& p, const Tile& t) {
    const int64_t at = t.n * p.output_strides.n + t.c * p.output_strides.c;
    gradient = static_cast<const T*>(p.grad_output) + at;
    taps = static_cast<const uint8_t*>(p.taps) + at;
  }
};

template <class T>
T* input_row(const Backward& p, const Tile& t, int64_t d, int64_t h) {
  const Strides& in = p.input_strides;
  return static_cast<T*>(p.grad_input) + (t.n * in.n + t.c * in.c + d * in.d + h * in.h);
}

// The tables and the function that gather one row.
template <class T, Layout layout>
struct RowGather;

template <class T>
struct RowGather<T, Layout::channels_first> {
  const Axis& w;
  GatherRowFirst<T> gather;

  static int64_t bytes(const Geometry&) { return 0; }
  RowGather(const Backward& p, Scratch&) : w(p.geometry.w()), gather(select_gather_row_first<T>(w)) {}
  void operator()(GradientRows<T> rows, T* grad_input) const { gather(w, rows, grad_input); }
};

template <class T>
struct RowGather<T, Layout::channels_last> {
  ColumnsLast columns;

  static int64_t bytes(const Geometry& g) { return WindowTable::bytes(g.w()); }
  RowGather(const Backward& p, Scratch& scratch)
      : columns{p.geometry.w().in, p.geometry.channels, p.input_strides.w, WindowTable(p.geometry.w(), scratch)} {}
  void operator()(GradientRows<T> rows, T* grad_input) const { gather_row_last<T>(columns, rows, grad_input); }
};

template <class T, Layout layout>
class GatherBackward {
 public:
  explicit GatherBackward(const Backward& problem)
      : p_(problem),
        scratch_(RowWindows::bytes(p_.geometry) + RowGather<T, layout>::bytes(p_.geometry)),
        windows_(p_.geometry, scratch_),
        gather_row_(p_, scratch_) {}

  void run(const Tile& t) {
    const Strides& out = p_.output_strides;
    const OutputVolume<T> volume(p_, t);
    GradientRow<T> rows[most_taps];
    for (int64_t d = t.d.begin; d < t.d.end; ++d) {
      for (int64_t h = t.h.begin; h < t.h.end; ++h) {
        int count = 0;
        windows_.for_each(p_.code, d, h, [&](int64_t od, int64_t oh, int64_t code) {
          const int64_t at = od * out.d + oh * out.h;
          rows[count++] = {volume.gradient + at, volume.taps + at, code};
        });
        gather_row_({rows, count}, input_row<T>(p_, t, d, h));
      }
    }
  }

 private:
  const Backward& p_;
  Scratch scratch_;
  const RowWindows windows_;
  const RowGather<T, layout> gather_row_;
};

template <Layout layout>
const char* gather_refusal(const Backward& p) {
  const bool first = layout == Layout::channels_first;
  if (p.code.type != TapType::u8) return "a window has more than 255 taps";
  if (first && (p.input_strides.w != 1 || p.output_strides.w != 1)) {
    return "columns do not lie next to each other (w stride is not 1)";
  }
  if (!first && (p.input_strides.c != 1 || p.output_strides.c != 1)) {
    return "channels do not lie next to each other (c stride is not 1)";
  }
  if (!first && p.output_strides.w != p.geometry.channels) return "columns of channels have gaps in the output";
  return nullptr;
}

template <Layout layout>
Plan gather_plan(const Backward& p, int64_t threads) {
  return plan_gather(p.geometry, layout, static_cast<int64_t>(size_of(p.dtype)), threads, scratch_budget());
}

template <Layout layout>
void gather_run(const Backward& p, const Plan& plan, int64_t begin, int64_t end) {
  dispatch_floating(p.dtype, [&]<class T>(T) {
    GatherBackward<T, layout> gather(p);
    Tiles tiles = gather_tiles(p.geometry, layout, plan, begin);
    for (int64_t unit = begin; unit < end; ++unit) gather.run(tiles.next());
  });
}

}  // namespace
}  // namespace voxpool::cpu::VOXPOOL_UNIT
