#pragma once

#include "cpu/kernels/axis_tables.h"
#include "cpu/kernels/merge_rows.h"
#include "cpu/kernels/reduce_columns.h"
#include "cpu/kernels/scratch.h"
#include "cpu/kernels/tap_offsets.h"
#include "cpu/memory_order.h"
#include "cpu/tile_plan.h"

// Forward pooling in passes over w, then h, then d. In that order an earlier candidate always has the earlier tap, so
// no pass compares taps: ties stay with the first, NaN moves to the last. Where windows overlap along h or d, rows
// reduced along w, and planes reduced along w and h, stay in rings for the other windows that need them; where they do
// not, the rows of a window are reduced together in registers. Either way a tile reads every input row once.
namespace voxpool::cpu::VOXPOOL_UNIT {
namespace {

template <class E, Track track>
class Separable {
  using Lane = typename E::Lane;
  using Raw = typename E::Raw;
  using Output = ToOutput<E, track>;
  using Reduced = ToReducedRow<E, track>;

  // Reduced rows by the number of what they were reduced from: one row of an input row, or the rows of an input plane.
  struct Ring {
    ReducedRow<E> rows;
    int64_t slots;
    int64_t slot_size;  // lanes
    int64_t* holds;     // per slot

    void clear() {
      for (int64_t i = 0; i < slots; ++i) holds[i] = -1;
    }
    ReducedRow<E> at(int64_t slot, int64_t lane) const {
      const int64_t i = slot * slot_size + lane;
      return {rows.values + i, tracks_taps(track) ? rows.codes + i : nullptr};
    }
  };

 public:
  Separable(const OrderedForward& ordered, Layout layout, const Plan& plan)
      : p_(ordered.problem),
        index_step_(ordered.index_step),
        g_(p_.geometry),
        layout_(layout),
        plan_(plan),
        h_together_(rows_together_along_h(g_)),
        d_together_(rows_together_along_d(g_)),
        channels_(layout == Layout::channels_first ? 1 : g_.channels),
        dense_output_(p_.output_strides.w == channels_ &&
                      (layout == Layout::channels_first || p_.output_strides.c == 1)),
        row_capacity_(plan.columns * channels_ + 2 * lanes<Lane>),
        strip_capacity_(plan.rows * plan.columns * channels_ + 2 * lanes<Lane>),
        reduce_to_row_(select_reduce_columns<E, track, Reduced>(layout, g_.w())),
        reduce_to_output_(select_reduce_columns<E, track, Output>(layout, g_.w())),
        scratch_(scratch_bytes()),
        d_taps_(g_.d(), scratch_),
        h_taps_(g_.h(), scratch_),
        plane_slot_(g_.d().in, rings(g_).planes, scratch_),
        row_slot_(g_.h().in, rings(g_).rows, scratch_),
        columns_(g_.w(), layout, scratch_),
        row_ring_(make_ring(rings(g_).rows, row_capacity_)),
        plane_ring_(make_ring(rings(g_).planes, strip_capacity_)) {
    if (!dense_output_) final_values_ = scratch_.template take<Raw>(row_capacity_);
    if constexpr (tracks_taps(track)) {
      final_codes_ = scratch_.template take<uint8_t>(codes_capacity());
      tap_offsets_ = TapOffsets(g_, p_.code, index_step_);
    }
  }

  void run(int64_t begin, int64_t end) {
    for (int64_t unit = begin; unit < end; ++unit) run_tile(tile(g_, layout_, plan_, unit));
  }

 private:
  int64_t scratch_bytes() const {
    const Rings r = rings(g_);
    int64_t bytes = TapTable::bytes(g_.d()) + TapTable::bytes(g_.h()) + SlotTable::bytes(g_.d().in) +
                    SlotTable::bytes(g_.h().in) + ColumnTables::bytes(g_.w(), layout_) +
                    ring_bytes(r.rows, row_capacity_) + ring_bytes(r.planes, strip_capacity_);
    if (!dense_output_) bytes += Scratch::bytes_for<Raw>(row_capacity_);
    if constexpr (tracks_taps(track)) bytes += Scratch::bytes_for<uint8_t>(codes_capacity());
    return bytes;
  }

  // Of what one call of finish_rows may write: the rows of a tile where planes are merged.
  int64_t codes_capacity() const { return rings(g_).planes > 0 ? strip_capacity_ : row_capacity_; }

  static int64_t ring_bytes(int64_t slots, int64_t slot_size) {
    return Scratch::bytes_for<Lane>(slots * slot_size) + Scratch::bytes_for<int64_t>(slots) +
           (tracks_taps(track) ? Scratch::bytes_for<uint8_t>(slots * slot_size) : 0);
  }

  Ring make_ring(int64_t slots, int64_t slot_size) {
    Ring ring{{scratch_.template take<Lane>(slots * slot_size), nullptr},
              slots,
              slot_size,
              scratch_.template take<int64_t>(slots)};
    if constexpr (tracks_taps(track)) ring.rows.codes = scratch_.template take<uint8_t>(slots * slot_size);
    return ring;
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
      if (d_together_) {
        for (int64_t oh = t.h.begin; oh < t.h.end; ++oh) {
          int count = 0;
          const OutputTaps& planes = d_taps_[od];
          for (int64_t i = 0; i < planes.taps.size(); ++i) {
            const int64_t plane = planes.position + i * g_.d().dilation;
            count = add_input_rows(plane, oh, (planes.taps.begin + i) * p_.code.step[0], count);
          }
          finish_rows(t, od, oh, 1, [&](const Output& to) { reduce_to_output_(pass_, {input_rows_, count}, to); });
        }
      } else if (g_.d().kernel == 1) {
        for (int64_t oh = t.h.begin; oh < t.h.end; ++oh) {
          const Merge rows = reduced_rows(g_.d().start(od), oh);
          finish_rows(t, od, oh, 1, [&](const Output& to) { merge(rows, row_length_, to); });
        }
      } else {
        merge_planes(t, od);
      }
    }
  }

  // Adds the rows of one input plane that output row oh reads to input_rows_.
  int add_input_rows(int64_t plane, int64_t oh, int64_t code, int count) {
    const OutputTaps& rows = h_taps_[oh];
    for (int64_t i = 0; i < rows.taps.size(); ++i) {
      input_rows_[count++] = {input_row(plane, rows.position + i * g_.h().dilation),
                              code + (rows.taps.begin + i) * p_.code.step[1]};
    }
    return count;
  }

  const Raw* input_row(int64_t plane, int64_t row) const {
    return input_ + plane * p_.input_strides.d + row * p_.input_strides.h;
  }

  struct Merge {
    const RowTap<E>* taps;
    int count;
  };

  template <class Sink>
  void merge(const Merge& rows, int64_t length, const Sink& to) const {
    merge_rows<E, track>(rows.taps, rows.count, length, to);
  }

  // The rows, reduced along w, that output row oh reads in one input plane.
  Merge reduced_rows(int64_t plane, int64_t oh) {
    if (row_ring_plane_ != plane) row_ring_.clear();
    row_ring_plane_ = plane;
    const OutputTaps& rows = h_taps_[oh];
    int64_t row = rows.position;
    for (int64_t i = 0; i < rows.taps.size(); ++i, row += g_.h().dilation) {
      const int64_t slot = row_slot_[row];
      const ReducedRow<E> reduced = row_ring_.at(slot, 0);
      if (row_ring_.holds[slot] != row) {
        row_ring_.holds[slot] = row;
        const InputRow<E> input{input_row(plane, row), 0};
        reduce_to_row_(pass_, {&input, 1}, Reduced{reduced});
      }
      row_taps_[i] = {reduced.values, reduced.codes, (rows.taps.begin + i) * p_.code.step[1]};
    }
    return {row_taps_, static_cast<int>(rows.taps.size())};
  }

  // Reduces the rows of one input plane along w and h into the plane ring, unless they are there. Rows follow each
  // other without gaps; the vector that ends a row may write into the next, which comes later.
  void keep_plane(const Tile& t, int64_t plane) {
    const int64_t slot = plane_slot_[plane];
    if (plane_ring_.holds[slot] == plane) return;
    plane_ring_.holds[slot] = plane;
    for (int64_t oh = t.h.begin; oh < t.h.end; ++oh) {
      const Reduced to{plane_ring_.at(slot, (oh - t.h.begin) * row_length_)};
      if (h_together_) {
        const int count = add_input_rows(plane, oh, 0, 0);
        reduce_to_row_(pass_, {input_rows_, count}, to);
      } else {
        merge(reduced_rows(plane, oh), row_length_, to);
      }
    }
  }

  void merge_planes(const Tile& t, int64_t od) {
    const OutputTaps& planes = d_taps_[od];
    const int count = static_cast<int>(planes.taps.size());
    int64_t plane = planes.position;
    for (int i = 0; i < count; ++i, plane += g_.d().dilation) keep_plane(t, plane);

    const bool rows_adjoin = dense_output_ && p_.output_strides.h == row_length_;
    const int64_t rows_at_once = rows_adjoin ? t.h.size() : 1;
    for (int64_t oh = t.h.begin; oh < t.h.end; oh += rows_at_once) {
      plane = planes.position;
      for (int i = 0; i < count; ++i, plane += g_.d().dilation) {
        const ReducedRow<E> rows = plane_ring_.at(plane_slot_[plane], (oh - t.h.begin) * row_length_);
        plane_taps_[i] = {rows.values, rows.codes, (planes.taps.begin + i) * p_.code.step[0]};
      }
      finish_rows(t, od, oh, rows_at_once, [&](const Output& to) {
        merge({plane_taps_, count}, rows_at_once * row_length_, to);
      });
    }
  }

  // Lets `produce` write `rows` rows of values and codes, then brings them where they belong.
  template <class Produce>
  void finish_rows(const Tile& t, int64_t od, int64_t oh, int64_t rows, const Produce& produce) {
    const Strides& out = p_.output_strides;
    const int64_t at = output_volume_ + od * out.d + oh * out.h + t.w.begin * out.w;
    Raw* values = dense_output_ ? static_cast<Raw*>(p_.output) + at : final_values_;
    uint8_t* codes = dense_output_ && p_.taps != nullptr ? static_cast<uint8_t*>(p_.taps) + at : final_codes_;
    produce(Output{values, codes});
    if (!dense_output_) scatter_row(t.w.size(), at);
    if constexpr (tracks_taps(track)) {
      if (p_.indices == nullptr) return;
      for (int64_t i = 0; i < rows; ++i) {
        write_indices(t.w, od, oh + i, codes + i * row_length_, p_.indices + at + i * out.h);
      }
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
    const Axis& w = g_.w();
    const int64_t row = g_.d().start(od) * index_step_[0] + g_.h().start(oh) * index_step_[1];
    const int64_t step = w.stride * index_step_[2];
    const int64_t base = row + w.start(columns.begin) * index_step_[2];
    if (channels_ == 1 && out.w == 1) return tap_offsets_.positions(codes, columns.size(), base, step, indices);
    for (int64_t i = 0; i < columns.size(); ++i, codes += channels_) {
      int64_t* to = indices + i * out.w;
      if (out.c == 1) {
        tap_offsets_.positions(codes, channels_, base + i * step, 0, to);
      } else {
        for (int64_t c = 0; c < channels_; ++c) to[c * out.c] = base + i * step + tap_offsets_[codes[c]];
      }
    }
  }

  const Forward& p_;
  const std::array<int64_t, 3>& index_step_;
  const Geometry& g_;
  const Layout layout_;
  const Plan& plan_;
  const bool h_together_;         // windows do not overlap along h, nor
  const bool d_together_;         // along d: their rows are reduced together
  const int64_t channels_;        // lanes per column
  const bool dense_output_;       // a row of the output is one run of memory
  const int64_t row_capacity_;    // lanes of a row, and room for a vector that reaches past it
  const int64_t strip_capacity_;  // the same for the rows of a tile
  const ReduceColumns<E, Reduced> reduce_to_row_;
  const ReduceColumns<E, Output> reduce_to_output_;
  Scratch scratch_;
  const TapTable d_taps_, h_taps_;
  const SlotTable plane_slot_, row_slot_;
  const ColumnTables columns_;
  Ring row_ring_;
  Ring plane_ring_;
  Raw* final_values_ = nullptr;  // of a row, where the output is not dense
  uint8_t* final_codes_ = nullptr;
  TapOffsets tap_offsets_;

  // Of the current tile.
  const Raw* input_ = nullptr;
  int64_t output_volume_ = 0;
  int64_t row_length_ = 0;
  int64_t row_ring_plane_ = -1;
  ColumnPass pass_{};
  InputRow<E> input_rows_[most_rows_together];
  RowTap<E> row_taps_[most_rows_together];
  RowTap<E> plane_taps_[most_rows_together];
};

}  // namespace
}  // namespace voxpool::cpu::VOXPOOL_UNIT
