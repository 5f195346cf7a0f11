#pragma once

#include <algorithm>

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
    planes.for_each([&](int64_t od, int64_t td) VOXPOOL_LAMBDA_INLINE {
      lines.for_each([&](int64_t oh, int64_t th)
                         VOXPOOL_LAMBDA_INLINE { f(od, oh, td * code.step[0] + th * code.step[1]); });
    });
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

// The tables and the function that gather rows.
template <class T, Layout layout>
struct RowGather;

template <class T>
struct RowGather<T, Layout::channels_first> {
  ColumnsFirst columns;
  GatherRowsFirst<T> gather;

  static int64_t bytes(const Geometry& g) { return PhaseTaps::bytes(g.w()); }
  RowGather(const Backward& p, Scratch& scratch)
      : columns{p.geometry.w(), PhaseTaps(p.geometry.w(), scratch)},
        gather(select_gather_rows_first<T>(p.geometry.w())) {}
  void operator()(const RowBlock<T>& block, T* grad_input) const { gather(columns, block, grad_input); }
};

template <class T>
struct RowGather<T, Layout::channels_last> {
  ColumnsLast columns;

  static int64_t bytes(const Geometry& g) { return WindowTable::bytes(g.w()); }
  RowGather(const Backward& p, Scratch& scratch)
      : columns{p.geometry.w().in, p.geometry.channels, p.input_strides.w, WindowTable(p.geometry.w(), scratch)} {}
  void operator()(const RowBlock<T>& block, T* grad_input) const {
    block.for_each([&](const GradientRows<T>& rows, int64_t from, int64_t to) {
      gather_row_last<T>(columns, rows, from, block.stores, grad_input + to);
    });
  }
};

template <class T, Layout layout>
class GatherBackward {
 public:
  explicit GatherBackward(const Backward& problem)
      : p_(problem),
        row_length_(p_.geometry.w().in * channels()),
        period_(std::min(p_.geometry.h().stride, p_.geometry.h().in)),
        rows_at_once_(std::max<int64_t>(lanes_at_once / (row_length_ + lanes<T>) / period_ * period_, 1)),
        stores_(row_stores()),
        scratch_(RowWindows::bytes(p_.geometry) + RowGather<T, layout>::bytes(p_.geometry) +
                 Scratch::bytes_for<GradientRows<T>>(period_)),
        windows_(p_.geometry, scratch_),
        gather_rows_(p_, scratch_),
        read_by_(scratch_.template take<GradientRows<T>>(period_)) {}

  void run(const Tile& t) {
    const OutputVolume<T> volume(p_, t);
    for (int64_t d = t.d.begin; d < t.d.end; ++d) {
      for (int64_t h = t.h.begin, count; h < t.h.end; h += count) {
        const int64_t period = std::min({period_, rows_at_once_, t.h.end - h});
        count = std::min(alike(h, period), t.h.end - h);
        find_readers(volume, d, h, period);
        gather_rows_({read_by_, period, count, p_.output_strides.h, p_.input_strides.h, stores_},
                     input_row<T>(p_, t, d, h));
      }
    }
  }

  // After the last tile.
  void finish() {
    if (p_.stream) finish_stream();
  }

 private:
  // Lanes of short rows that are worth a call.
  static constexpr int64_t lanes_at_once = 2048;

  int64_t channels() const { return layout == Layout::channels_first ? 1 : p_.geometry.channels; }

  Stores row_stores() const {
    constexpr auto size = static_cast<int64_t>(sizeof(T));
    const Strides& in = p_.input_strides;
    if (!p_.stream || (p_.geometry.w().in > 1 && in.w != channels())) return Stores::cached;
    const int64_t column = layout == Layout::channels_first ? in.c : channels();
    return stream_stores(p_.grad_input, in.n * size, in.d * size, in.h * size, row_length_ * size, column * size);
  }

  // How many rows from h on are read alike, period by period.
  int64_t alike(int64_t h, int64_t period) const {
    int64_t periods = rows_at_once_ / period;
    if (period < p_.geometry.h().stride) return period;
    for (int64_t i = 0; i < period; ++i) periods = std::min(periods, windows_.h.alike(h + i));
    return periods * period;
  }

  // The output rows that read the input rows from h on.
  void find_readers(const OutputVolume<T>& volume, int64_t d, int64_t h, int64_t period) {
    const Strides& out = p_.output_strides;
    int used = 0;
    for (int64_t i = 0; i < period; ++i) {
      const int first = used;
      windows_.for_each(p_.code, d, h + i, [&](int64_t od, int64_t oh, int64_t code) {
        const int64_t at = od * out.d + oh * out.h;
        readers_[used++] = {volume.gradient + at, volume.taps + at, code};
      });
      read_by_[i] = {readers_ + first, used - first};
    }
  }

  const Backward& p_;
  const int64_t row_length_;
  const int64_t period_;
  const int64_t rows_at_once_;  // a multiple of the period, or one
  const Stores stores_;
  Scratch scratch_;
  const RowWindows windows_;
  const RowGather<T, layout> gather_rows_;
  GradientRows<T>* const read_by_;  // of each row of a period
  GradientRow<T> readers_[most_taps];
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
  const int64_t tables = RowWindows::bytes(p.geometry) + (first ? 0 : WindowTable::bytes(p.geometry.w()));
  if (is_out_of_proportion(static_cast<double>(tables), p.geometry, p.dtype)) return too_much_scratch;
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
    gather.finish();
  });
}

}  // namespace
}  // namespace voxpool::cpu::VOXPOOL_UNIT
