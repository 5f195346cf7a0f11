#pragma once

#include "cpu/kernels/axis_tables.h"
#include "cpu/kernels/merge_rows.h"
#include "cpu/kernels/reduce_columns.h"
#include "cpu/kernels/scratch.h"
#include "cpu/memory_order.h"
#include "cpu/tile_plan.h"

// Forward pooling in three passes, w then h then d, each over the result of the one before. In that order an earlier
// candidate always has the earlier tap, so no pass compares taps: ties stay with the first, NaN moves to the last. Rows
// reduced along w, and planes reduced along w and h, stay in rings for the other windows that need them, and every
// input row is read from memory once per tile.
namespace voxpool::cpu::VOXPOOL_UNIT {
namespace {

// Taps of a window along h or d: those of one merge fit a fixed array.
constexpr int64_t most_taps_per_axis = 255;

template <class E, Track track>
class Separable {
  using Lane = typename E::Lane;
  using Raw = typename E::Raw;

  // Reduced rows by the number of what they were reduced from (an input row, or an input plane).
  struct Ring {
    ReducedRow<E> rows;
    int64_t slots;
    int64_t slot_rows;
    int64_t* holds;  // per slot

    void clear() {
      for (int64_t i = 0; i < slots; ++i) holds[i] = -1;
    }
  };

 public:
  Separable(const OrderedForward& ordered, Layout layout, const Plan& plan)
      : p_(ordered.problem),
        index_step_(ordered.index_step),
        g_(p_.geometry),
        layout_(layout),
        plan_(plan),
        channels_(layout == Layout::channels_first ? 1 : g_.channels),
        dense_output_(p_.output_strides.w == channels_ &&
                      (layout == Layout::channels_first || p_.output_strides.c == 1)),
        row_capacity_((plan.columns * channels_ / lanes<Lane> + 2) * lanes<Lane>),
        reduce_columns_(layout == Layout::channels_first ? select_reduce_columns_first<E, track>(g_.w())
                                                         : select_reduce_columns_last<E, track>(g_.w())),
        scratch_(scratch_bytes()),
        d_taps_(g_.d(), scratch_),
        h_taps_(g_.h(), scratch_),
        plane_slot_(g_.d().in, rings(g_).planes, scratch_),
        row_slot_(g_.h().in, rings(g_).rows, scratch_),
        columns_(g_.w(), layout, scratch_),
        row_ring_(make_ring(rings(g_).rows, 1)),
        plane_ring_(make_ring(rings(g_).planes, plan.rows)) {
    if (!dense_output_) final_values_ = scratch_.template take<Raw>(row_capacity_);
    if constexpr (tracks_taps(track)) {
      final_codes_ = scratch_.template take<uint8_t>(row_capacity_);
      tap_offset_ = scratch_.template take<int64_t>(most_taps_per_axis);
      prepare_tap_offsets();
    }
  }

  void run(int64_t begin, int64_t end) {
    for (int64_t unit = begin; unit < end; ++unit) run_tile(tile(g_, layout_, plan_, unit));
  }

 private:
  int64_t scratch_bytes() const {
    const Rings r = rings(g_);
    const int64_t rows = r.rows + r.planes * plan_.rows;
    int64_t bytes =
        Scratch::bytes_for<Raw>(dense_output_ ? 0 : row_capacity_) + Scratch::bytes_for<Lane>(r.rows * row_capacity_) +
        Scratch::bytes_for<Lane>(r.planes * plan_.rows * row_capacity_) + Scratch::bytes_for<int64_t>(r.rows) +
        Scratch::bytes_for<int64_t>(r.planes) + TapTable::bytes(g_.d()) + TapTable::bytes(g_.h()) +
        SlotTable::bytes(g_.d().in) + SlotTable::bytes(g_.h().in) + ColumnTables::bytes(g_.w(), layout_);
    if constexpr (tracks_taps(track)) {
      bytes += Scratch::bytes_for<uint8_t>(rows * row_capacity_ + 64) + Scratch::bytes_for<uint8_t>(row_capacity_) +
               Scratch::bytes_for<int64_t>(most_taps_per_axis);
    }
    return bytes;
  }

  Ring make_ring(int64_t slots, int64_t slot_rows) {
    const int64_t size = slots * slot_rows * row_capacity_;
    Ring ring{{scratch_.template take<Lane>(size), nullptr}, slots, slot_rows, scratch_.template take<int64_t>(slots)};
    if constexpr (tracks_taps(track)) ring.rows.codes = scratch_.template take<uint8_t>(size);
    return ring;
  }

  void prepare_tap_offsets() {
    const auto& [step_d, step_h, step_w] = p_.code.step;
    for (int64_t td = 0; td < g_.d().kernel; ++td) {
      for (int64_t th = 0; th < g_.h().kernel; ++th) {
        for (int64_t tw = 0; tw < g_.w().kernel; ++tw) {
          tap_offset_[td * step_d + th * step_h + tw * step_w] = td * g_.d().dilation * index_step_[0] +
                                                                 th * g_.h().dilation * index_step_[1] +
                                                                 tw * g_.w().dilation * index_step_[2];
        }
      }
    }
  }

  ReducedRow<E> ring_row(const Ring& ring, int64_t slot, int64_t row) const {
    const int64_t at = (slot * ring.slot_rows + row) * row_capacity_;
    return {ring.rows.values + at, tracks_taps(track) ? ring.rows.codes + at : nullptr};
  }

  void run_tile(const Tile& t) {
    input_ = static_cast<const Raw*>(p_.input) + (t.n * p_.input_strides.n + t.c * p_.input_strides.c);
    output_volume_ = t.n * p_.output_strides.n + t.c * p_.output_strides.c;
    pass_ = {g_.w(), t.w, channels_, p_.input_strides.w, p_.code.step[2], columns_};
    row_length_ = t.w.size() * channels_;
    row_ring_.clear();
    row_ring_plane_ = -1;
    plane_ring_.clear();

    for (int64_t od = t.d.begin; od < t.d.end; ++od) {
      if (g_.d().kernel == 1) {
        const int64_t plane = g_.d().start(od);
        for (int64_t oh = t.h.begin; oh < t.h.end; ++oh) write_output(t, od, oh, row_taps(plane, oh));
        continue;
      }
      const OutputTaps& planes = d_taps_[od];
      int64_t plane = planes.position;
      for (int64_t i = 0; i < planes.taps.size(); ++i, plane += g_.d().dilation) keep_plane(t, plane);
      for (int64_t oh = t.h.begin; oh < t.h.end; ++oh) {
        plane = planes.position;
        for (int64_t i = 0; i < planes.taps.size(); ++i, plane += g_.d().dilation) {
          const ReducedRow<E> row = ring_row(plane_ring_, plane_slot_[plane], oh - t.h.begin);
          plane_taps_[i] = {row.values, row.codes, (planes.taps.begin + i) * p_.code.step[0]};
        }
        write_output(t, od, oh, {plane_taps_, static_cast<int>(planes.taps.size())});
      }
    }
  }

  struct Taps {
    const RowTap<E>* taps;
    int count;
  };

  // Reduces one input plane along w and h into the plane ring, unless it is there.
  void keep_plane(const Tile& t, int64_t plane) {
    const int64_t slot = plane_slot_[plane];
    if (plane_ring_.holds[slot] == plane) return;
    plane_ring_.holds[slot] = plane;
    for (int64_t oh = t.h.begin; oh < t.h.end; ++oh) {
      const ReducedRow<E> to = ring_row(plane_ring_, slot, oh - t.h.begin);
      if (g_.h().kernel == 1) {
        reduce_columns_(pass_, input_row(plane, g_.h().start(oh)), to);
        continue;
      }
      const Taps rows = row_taps(plane, oh);
      merge_rows<E, track>(rows.taps, rows.count, row_length_, ToReducedRow<E, track>{to});
    }
  }

  const Raw* input_row(int64_t plane, int64_t row) const {
    return input_ + plane * p_.input_strides.d + row * p_.input_strides.h;
  }

  // The rows, reduced along w, of output row oh in one input plane.
  Taps row_taps(int64_t plane, int64_t oh) {
    if (row_ring_plane_ != plane) row_ring_.clear();
    row_ring_plane_ = plane;
    const OutputTaps& rows = h_taps_[oh];
    int64_t row = rows.position;
    for (int64_t i = 0; i < rows.taps.size(); ++i, row += g_.h().dilation) {
      const int64_t slot = row_slot_[row];
      const ReducedRow<E> reduced = ring_row(row_ring_, slot, 0);
      if (row_ring_.holds[slot] != row) {
        row_ring_.holds[slot] = row;
        reduce_columns_(pass_, input_row(plane, row), reduced);
      }
      row_taps_[i] = {reduced.values, reduced.codes, (rows.taps.begin + i) * p_.code.step[1]};
    }
    return {row_taps_, static_cast<int>(rows.taps.size())};
  }

  void write_output(const Tile& t, int64_t od, int64_t oh, Taps taps) {
    const Strides& out = p_.output_strides;
    const int64_t at = output_volume_ + od * out.d + oh * out.h + t.w.begin * out.w;
    Raw* values = dense_output_ ? static_cast<Raw*>(p_.output) + at : final_values_;
    uint8_t* codes = dense_output_ && p_.taps != nullptr ? static_cast<uint8_t*>(p_.taps) + at : final_codes_;
    merge_rows<E, track>(taps.taps, taps.count, row_length_, ToOutput<E, track>{values, codes});
    if (!dense_output_) scatter_row(t.w.size(), at);
    if constexpr (tracks_taps(track)) {
      if (p_.indices != nullptr) write_indices(t.w, od, oh, codes, p_.indices + at);
    }
  }

  // A finished row to an output whose columns or channels do not lie next to each other.
  void scatter_row(int64_t columns, int64_t at) const {
    const Strides& out = p_.output_strides;
    for (int64_t i = 0; i < columns; ++i) {
      for (int64_t c = 0; c < channels_; ++c) {
        const int64_t to = at + i * out.w + c * out.c, from = i * channels_ + c;
        static_cast<Raw*>(p_.output)[to] = final_values_[from];
        if (tracks_taps(track) && p_.taps != nullptr) static_cast<uint8_t*>(p_.taps)[to] = final_codes_[from];
      }
    }
  }

  void write_indices(Range columns, int64_t od, int64_t oh, const uint8_t* codes, int64_t* indices) const {
    const Strides& out = p_.output_strides;
    const int64_t row = g_.d().start(od) * index_step_[0] + g_.h().start(oh) * index_step_[1];
    for (int64_t ow = columns.begin; ow < columns.end; ++ow) {
      const int64_t base = row + g_.w().start(ow) * index_step_[2];
      int64_t* to = indices + (ow - columns.begin) * out.w;
      for (int64_t c = 0; c < channels_; ++c) to[c * out.c] = base + tap_offset_[*codes++];
    }
  }

  const Forward& p_;
  const std::array<int64_t, 3>& index_step_;
  const Geometry& g_;
  const Layout layout_;
  const Plan& plan_;
  const int64_t channels_;      // lanes per column
  const bool dense_output_;     // a row of the output is one run of memory
  const int64_t row_capacity_;  // lanes of a reduced row: a vector may be stored at any column
  const ReduceColumns<E> reduce_columns_;
  Scratch scratch_;
  const TapTable d_taps_, h_taps_;
  const SlotTable plane_slot_, row_slot_;
  const ColumnTables columns_;
  Ring row_ring_;
  Ring plane_ring_;
  Raw* final_values_ = nullptr;  // of a row, where the output is not dense
  uint8_t* final_codes_ = nullptr;
  int64_t* tap_offset_ = nullptr;

  // Of the current tile.
  const Raw* input_ = nullptr;
  int64_t output_volume_ = 0;
  int64_t row_length_ = 0;
  int64_t row_ring_plane_ = -1;
  ColumnPass pass_{};
  RowTap<E> row_taps_[most_taps_per_axis];
  RowTap<E> plane_taps_[most_taps_per_axis];
};

VOXPOOL_INLINE bool wants_taps(const Forward& p) { return p.taps != nullptr || p.indices != nullptr; }

VOXPOOL_INLINE const char* common_refusal(const Forward& p) {
  const Geometry& g = p.geometry;
  if (wants_taps(p) && p.code.type != TapType::u8) return "a window has more than 255 taps";
  if (g.d().kernel > most_taps_per_axis || g.h().kernel > most_taps_per_axis) {
    return "a window has more than 255 taps along d or h";
  }
  if (g.has_empty_window()) return "a window has no tap inside the input";
  return nullptr;
}

const char* channels_first_refusal(const Forward& p) {
  if (p.input_strides.w != 1) return "columns do not lie next to each other (w stride is not 1)";
  if (!in_memory_order(p).in_scan_order) return "the axes d, h, w are not in this order in memory";
  return common_refusal(p);
}

const char* channels_last_refusal(const Forward& given) {
  const OrderedForward ordered = in_memory_order(given);
  const Forward& p = ordered.problem;
  if (p.input_strides.c != 1) return "channels do not lie next to each other (c stride is not 1)";
  if (p.geometry.channels == 1 && p.input_strides.w == 1) return "with one channel, columns lie next to each other";
  if (p.geometry.w().in > 1 && p.input_strides.w < p.geometry.channels) return "columns of channels overlap";
  if (p.code.type != TapType::u8 && !ordered.in_scan_order) {
    return "a window has more than 255 taps, and the axes d, h, w are not in this order in memory";
  }
  return common_refusal(p);
}

template <Layout layout>
Plan separable_plan(const Forward& p, int64_t threads) {
  const int64_t lane_bytes = static_cast<int64_t>(size_of(p.dtype)) + 1;
  return plan_tiles(in_memory_order(p).problem.geometry, layout, lane_bytes, threads);
}

template <Layout layout>
void separable_run(const Forward& p, const Plan& plan, int64_t begin, int64_t end) {
  const OrderedForward ordered = in_memory_order(p);
  dispatch(p.dtype, [&]<class T>(T) {
    using E = ElementLanes<T>;
    if constexpr (layout == Layout::channels_last) {
      // Out of scan order even values need the taps: of two zeros, or of two NaNs, the tap decides which one it is.
      if (!ordered.in_scan_order) {
        return Separable<E, Track::taps_in_any_order>(ordered, layout, plan).run(begin, end);
      }
    }
    if (wants_taps(p)) {
      Separable<E, Track::taps_in_scan_order>(ordered, layout, plan).run(begin, end);
    } else {
      Separable<E, Track::values>(ordered, layout, plan).run(begin, end);
    }
  });
}

}  // namespace
}  // namespace voxpool::cpu::VOXPOOL_UNIT
