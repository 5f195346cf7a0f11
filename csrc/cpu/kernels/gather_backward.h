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

template <class T>
class GatherLast {
 public:
  GatherLast(const Backward& problem, const Plan&)
      : p_(problem),
        g_(problem.geometry),
        scratch_(RowWindows::bytes(g_) + WindowTable::bytes(g_.w())),
        windows_(g_, scratch_),
        pass_{g_.w().in, g_.channels, p_.input_strides.w, WindowTable(g_.w(), scratch_)} {}

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
        gather_row_last<T>(pass_, {rows, count}, input_row<T>(p_, t, d, h));
      }
    }
  }

 private:
  const Backward& p_;
  const Geometry& g_;
  Scratch scratch_;
  const RowWindows windows_;
  const ColumnsLast pass_;
};

// Channels-first rows are staged once for all the input rows of a tile that read them: widened to the type of the sum,
// with room at both ends so that no vector needs to look where its row ends.
template <class T>
class GatherFirst {
  using Lane = typename GradientLanes<T>::Lane;

 public:
  GatherFirst(const Backward& problem, const Plan& plan)
      : p_(problem),
        g_(problem.geometry),
        gather_row_(select_gather_row_first<T>(g_.w())),
        staged_(g_.w(), lanes<Lane>),
        planes_(gather_planes(g_)),
        lines_(gather_lines(g_, plan)),
        scratch_(Scratch::bytes_for<Lane>(rows() * staged_.length) +
                 Scratch::bytes_for<uint8_t>(rows() * staged_.length) + Scratch::bytes_for<int64_t>(rows()) +
                 RowWindows::bytes(g_) + SlotTable::bytes(g_.d().out) + SlotTable::bytes(g_.h().out)),
        windows_(g_, scratch_),
        plane_slot_(g_.d().out, planes_, scratch_),
        line_slot_(g_.h().out, lines_, scratch_),
        gradients_(scratch_.template take<Lane>(rows() * staged_.length)),
        taps_(scratch_.template take<uint8_t>(rows() * staged_.length)),
        holds_(scratch_.template take<int64_t>(rows())) {
    for (int64_t i = 0; i < rows() * staged_.length; ++i) gradients_[i] = 0;
    std::memset(taps_, 0xff, rows() * staged_.length);
  }

  void run(const Tile& t) {
    for (int64_t i = 0; i < rows(); ++i) holds_[i] = -1;
    const OutputVolume<T> volume(p_, t);
    GradientRow<Lane> rows[most_taps];
    for (int64_t d = t.d.begin; d < t.d.end; ++d) {
      for (int64_t h = t.h.begin; h < t.h.end; ++h) {
        int count = 0;
        windows_.for_each(p_.code, d, h,
                          [&](int64_t od, int64_t oh, int64_t code) { rows[count++] = stage(volume, od, oh, code); });
        gather_row_(g_.w(), {rows, count}, input_row<T>(p_, t, d, h));
      }
    }
  }

 private:
  int64_t rows() const { return planes_ * lines_; }

  GradientRow<Lane> stage(const OutputVolume<T>& volume, int64_t od, int64_t oh, int64_t code) {
    const int64_t slot = plane_slot_[od] * lines_ + line_slot_[oh];
    Lane* gradient = gradients_ + slot * staged_.length + staged_.before;
    uint8_t* taps = taps_ + slot * staged_.length + staged_.before;
    const int64_t row = od * g_.h().out + oh;
    if (holds_[slot] != row) {
      holds_[slot] = row;
      const int64_t at = od * p_.output_strides.d + oh * p_.output_strides.h;
      copy_row(volume.gradient + at, gradient);
      std::memcpy(taps, volume.taps + at, g_.w().out);
    }
    return {gradient, taps, code};
  }

  void copy_row(const T* from, Lane* to) const {
    constexpr int n = lanes<Lane>;
    int64_t i = 0;
    for (; i + n <= g_.w().out; i += n) store(to + i, GradientLanes<T>::load(from + i));
    if (i < g_.w().out) store(to + i, GradientLanes<T>::load_range(from + i, 0, static_cast<int>(g_.w().out - i)));
  }

  const Backward& p_;
  const Geometry& g_;
  const GatherRowFirst<T> gather_row_;
  const StagedRow staged_;
  const int64_t planes_, lines_;  // staged rows at a time, along d and h
  Scratch scratch_;
  const RowWindows windows_;
  const SlotTable plane_slot_, line_slot_;
  Lane* gradients_;
  uint8_t* taps_;
  int64_t* holds_;  // the row in each slot
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
    using Gather = std::conditional_t<layout == Layout::channels_first, GatherFirst<T>, GatherLast<T>>;
    Gather gather(p, plan);
    for (int64_t unit = begin; unit < end; ++unit) gather.run(gather_tile_of(p.geometry, layout, plan, unit));
  });
}

}  // namespace
}  // namespace voxpool::cpu::VOXPOOL_UNIT
