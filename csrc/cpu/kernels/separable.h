#pragma once

#include <algorithm>
#include <numeric>

#include "cpu/kernels/reduce_columns.h"
#include "cpu/kernels/row_ring.h"
#include "cpu/kernels/tap_offsets.h"
#include "cpu/memory_order.h"
#include "cpu/tile_plan.h"

// Forward pooling in passes over w, then h, then d. In that order an earlier candidate always has the earlier tap, so
// no pass compares taps: ties stay with the first, NaN moves to the last. Where windows overlap along h or d, rows
// reduced along w, and planes reduced along w and h, stay in rings for the other windows that need them; where they do
// not, the rows of a window are reduced together in registers. Either way a tile reads every input row once. Each pass
// goes over several rows at once where they are short: a call for each would take longer than the work.
namespace voxpool::cpu::VOXPOOL_UNIT {
namespace {

template <class E, Track track>
class Separable {
  using Lane = typename E::Lane;
  using Raw = typename E::Raw;
  using Output = ToOutput<E, track>;
  using Reduced = ToReducedRow<E, track>;

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
        dense_output_(has_dense_rows(p_, layout)),
        value_stores_(stores_of(p_, layout, plan, p_.output, sizeof(Raw))),
        index_stores_(stores_of(p_, layout, plan, p_.indices, sizeof(int64_t))),
        rows_at_once_(cpu::rows_at_once(plan, channels_)),
        every_row_counts_(std::gcd(g_.h().dilation, g_.h().stride) == 1 && g_.h().kernel >= g_.h().stride),
        row_capacity_(plan.columns * channels_ + 2 * lanes<Lane>),
        strip_capacity_((rings(g_).planes > 0 ? plan.rows : rows_at_once_) * plan.columns * channels_ +
                        2 * lanes<Lane>),
        narrow_(track != Track::taps_in_any_order && layout == Layout::channels_last &&
                columns_are_narrow<E>(g_.w(), channels_, plan.columns, p_.input_strides.w)),
        reduce_to_row_(select_reduce_columns<E, track, Reduced>(layout, g_.w(), narrow_)),
        reduce_to_output_(select_reduce_columns<E, track, Output>(layout, g_.w(), narrow_)),
        scratch_(scratch_bytes()),
        d_taps_(g_.d(), scratch_),
        h_taps_(g_.h(), scratch_),
        columns_(narrow_ ? ColumnTables(NarrowColumns(g_.w(), channels_, lanes<Raw>, p_.code.step[2], scratch_))
                         : ColumnTables(g_.w(), layout, scratch_)),
        row_ring_(g_.h().in, row_slots(), row_capacity_, tracks_taps(track), scratch_),
        plane_ring_(g_.d().in, rings(g_).planes, strip_capacity_, tracks_taps(track), scratch_) {
    if (!dense_output_) final_values_ = scratch_.template take<Raw>(row_capacity_);
    if constexpr (tracks_taps(track)) {
      final_codes_ = scratch_.template take<uint8_t>(strip_capacity_);
      tap_offsets_ = TapOffsets(g_, p_.code, index_step_);
    }
    const Strides& in = p_.input_strides;
    input_end_ = static_cast<const Raw*>(p_.input) + 1 + (g_.batch - 1) * in.n + (g_.channels - 1) * in.c +
                 (g_.d().in - 1) * in.d + (g_.h().in - 1) * in.h + (g_.w().in - 1) * in.w;
  }

  void run(int64_t begin, int64_t end) {
    Tiles tiles(g_, layout_, plan_, begin);
    for (int64_t unit = begin; unit < end; ++unit) run_tile(tiles.next());
    if (p_.stream) finish_stream();
  }

 private:
  int64_t scratch_bytes() const {
    int64_t bytes =
        TapTable::bytes(g_.d()) + TapTable::bytes(g_.h()) +
        (narrow_ ? NarrowColumns::bytes(g_.w(), channels_, lanes<Raw>) : ColumnTables::bytes(g_.w(), layout_)) +
        RowRing<E>::bytes(g_.h().in, row_slots(), row_capacity_, tracks_taps(track)) +
        RowRing<E>::bytes(g_.d().in, rings(g_).planes, strip_capacity_, tracks_taps(track));
    if (!dense_output_) bytes += Scratch::bytes_for<Raw>(row_capacity_);
    if constexpr (tracks_taps(track)) bytes += Scratch::bytes_for<uint8_t>(strip_capacity_);
    return bytes;
  }

  // Room for the rows of one window, and of those that are reduced together with it.
  int64_t row_slots() const {
    const int64_t window = rings(g_).rows;
    return window == 0 ? 0 : std::min(window + (rows_at_once_ - 1) * g_.h().stride, g_.h().in);
  }

  void run_tile(const Tile& t) {
    input_ = static_cast<const Raw*>(p_.input) + (t.n * p_.input_strides.n + t.c * p_.input_strides.c);
    output_volume_ = t.n * p_.output_strides.n + t.c * p_.output_strides.c;
    const bool inside = g_.w().start(t.w.end - 1) + g_.w().reach() < g_.w().in;
    pass_ = {g_.w(), t.w, channels_, p_.input_strides.w, p_.code.step[2], columns_, inside ? input_end_ : nullptr};
    row_length_ = t.w.size() * channels_;
    rows_adjoin_ = dense_output_ && (p_.output_strides.h == row_length_ || g_.h().out == 1);
    row_ring_.clear();
    plane_ring_.clear();

    for (int64_t od = t.d.begin; od < t.d.end; ++od) {
      if (d_together_) {
        reduce_planes(t, od);
      } else if (g_.d().kernel == 1) {
        for (int64_t oh = t.h.begin, rows; oh < t.h.end; oh += rows) {
          rows = rows_adjoin_ ? mergeable(t, oh) : 1;
          const Merge<E> merge = reduced_rows(g_.d().start(od), oh, rows);
          finish_rows(t, od, oh, rows, [&](const Output& to) { merge_rows<E, track>(merge, to); });
        }
      } else {
        merge_planes(t, od);
      }
    }
  }

  // How many of the output rows from oh on have the same taps and are reduced together.
  int64_t alike(const Tile& t, int64_t oh) const { return std::min({h_taps_[oh].alike, t.h.end - oh, rows_at_once_}); }

  // The same where they are merged from the ring: all rows between the first and the last are needed.
  int64_t mergeable(const Tile& t, int64_t oh) const {
    if (!every_row_counts_) return 1;
    const OutputTaps& rows = h_taps_[oh];
    const int64_t last = rows.position + (rows.taps.size() - 1) * g_.h().dilation;
    return std::min(alike(t, oh), row_ring_.windows_in_line(rows.position, last, g_.h().stride));
  }

  InputRows<E> windows(int count, int64_t rows) const {
    return {input_rows_, count, rows, g_.h().stride * p_.input_strides.h, row_length_};
  }

  // Reduces all rows of each window together.
  void reduce_planes(const Tile& t, int64_t od) {
    const OutputTaps& planes = d_taps_[od];
    for (int64_t oh = t.h.begin, rows; oh < t.h.end; oh += rows) {
      rows = rows_adjoin_ ? alike(t, oh) : 1;
      int count = 0;
      for (int64_t i = 0; i < planes.taps.size(); ++i) {
        const int64_t plane = planes.position + i * g_.d().dilation;
        count = add_input_rows(plane, oh, (planes.taps.begin + i) * p_.code.step[0], count);
      }
      finish_rows(t, od, oh, rows, [&](const Output& to) { reduce_to_output_(pass_, windows(count, rows), to); });
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

  // The rows, reduced along w, that `count` output rows from oh on read in one input plane.
  Merge<E> reduced_rows(int64_t plane, int64_t oh, int64_t count) {
    const OutputTaps& rows = h_taps_[oh];
    const int64_t last = rows.position + (rows.taps.size() - 1) * g_.h().dilation + (count - 1) * g_.h().stride;
    keep_rows(plane, rows.position, last, count == 1 ? g_.h().dilation : 1);
    for (int64_t i = 0; i < rows.taps.size(); ++i) {
      const ReducedRow<E> row = row_ring_.row(rows.position + i * g_.h().dilation);
      row_taps_[i] = {row.values, row.codes, (rows.taps.begin + i) * p_.code.step[1]};
    }
    return {row_taps_, static_cast<int>(rows.taps.size()),    row_length_,
            count,     g_.h().stride * row_ring_.slot_size(), row_length_};
  }

  // Reduces every step-th input row of a plane from `first` to `last` along w into the row ring. Windows come in
  // ascending order: the rows that are there are the first ones.
  void keep_rows(int64_t plane, int64_t first, int64_t last, int64_t step) {
    const auto key = [&](int64_t row) { return plane * g_.h().in + row; };
    while (row_ring_.holds(first, key(first))) {
      if (first == last) return;
      first += step;
    }
    const int64_t at_once = row_ring_.in_line(first, last) ? (last - first) / step + 1 : 1;
    for (int64_t row = first; row <= last; row += at_once * step) {
      const InputRow<E> input{input_row(plane, row), 0};
      reduce_to_row_(pass_, {&input, 1, at_once, step * p_.input_strides.h, step * row_ring_.slot_size()},
                     Reduced{row_ring_.row(row)});
    }
    for (int64_t row = first; row <= last; row += step) row_ring_.put(row, key(row));
  }

  // Reduces the rows of one input plane along w and h into the plane ring, unless they are there. Rows follow each
  // other without gaps; the vector that ends a row may write into the next, which comes later.
  void keep_plane(const Tile& t, int64_t plane) {
    if (plane_ring_.holds(plane, plane)) return;
    plane_ring_.put(plane, plane);
    for (int64_t oh = t.h.begin, rows; oh < t.h.end; oh += rows) {
      rows = h_together_ ? alike(t, oh) : mergeable(t, oh);
      const Reduced to{plane_ring_.row(plane, (oh - t.h.begin) * row_length_)};
      if (h_together_) {
        reduce_to_row_(pass_, windows(add_input_rows(plane, oh, 0, 0), rows), to);
      } else {
        merge_rows<E, track>(reduced_rows(plane, oh, rows), to);
      }
    }
  }

  void merge_planes(const Tile& t, int64_t od) {
    const OutputTaps& planes = d_taps_[od];
    const int count = static_cast<int>(planes.taps.size());
    for (int i = 0; i < count; ++i) keep_plane(t, planes.position + i * g_.d().dilation);

    const int64_t rows = rows_adjoin_ ? t.h.size() : 1;
    for (int64_t oh = t.h.begin; oh < t.h.end; oh += rows) {
      for (int i = 0; i < count; ++i) {
        const ReducedRow<E> kept =
            plane_ring_.row(planes.position + i * g_.d().dilation, (oh - t.h.begin) * row_length_);
        plane_taps_[i] = {kept.values, kept.codes, (planes.taps.begin + i) * p_.code.step[0]};
      }
      const Merge<E> merge{plane_taps_, count, rows * row_length_};
      finish_rows(t, od, oh, rows, [&](const Output& to) { merge_rows<E, track>(merge, to); });
    }
  }

  // Lets `produce` write `rows` rows of values and codes, several only where they adjoin in the output, and brings them
  // where they belong.
  template <class Produce>
  void finish_rows(const Tile& t, int64_t od, int64_t oh, int64_t rows, const Produce& produce) {
    const Strides& out = p_.output_strides;
    const int64_t at = output_volume_ + od * out.d + oh * out.h + t.w.begin * out.w;
    Raw* values = dense_output_ ? static_cast<Raw*>(p_.output) + at : final_values_;
    uint8_t* codes = dense_output_ && p_.taps != nullptr ? static_cast<uint8_t*>(p_.taps) + at : final_codes_;
    produce(Output{values, codes, p_.relu, value_stores_});
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
    if (channels_ == 1 && out.w == 1)
      return tap_offsets_.positions(codes, columns.size(), base, step, indices, index_stores_);
    for (int64_t i = 0; i < columns.size(); ++i, codes += channels_) {
      int64_t* to = indices + i * out.w;
      if (out.c == 1) {
        tap_offsets_.positions(codes, channels_, base + i * step, 0, to, index_stores_);
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
  const bool h_together_;    // windows do not overlap along h, nor
  const bool d_together_;    // along d: their rows are reduced together
  const int64_t channels_;   // lanes per column
  const bool dense_output_;  // a row of the output is one run of memory
  const Stores value_stores_, index_stores_;
  const int64_t rows_at_once_;    // at most
  const bool every_row_counts_;   // windows along h read all rows between the first and the last of them
  const int64_t row_capacity_;    // lanes of a row, and room for a vector that reaches past it
  const int64_t strip_capacity_;  // the same for the rows that are finished together: all of a tile from the plane ring
  const bool narrow_;             // channels-last with several columns to a vector
  const ReduceColumns<E, Reduced> reduce_to_row_;
  const ReduceColumns<E, Output> reduce_to_output_;
  Scratch scratch_;
  const TapTable d_taps_, h_taps_;
  const ColumnTables columns_;
  RowRing<E> row_ring_;          // input rows reduced along w
  RowRing<E> plane_ring_;        // the rows of a tile in one input plane, reduced along w and h
  Raw* final_values_ = nullptr;  // of a row, where the output is not dense
  uint8_t* final_codes_ = nullptr;
  TapOffsets tap_offsets_;
  const Raw* input_end_;

  // Of the current tile.
  const Raw* input_ = nullptr;
  int64_t output_volume_ = 0;
  int64_t row_length_ = 0;
  bool rows_adjoin_ = false;  // the rows of the output lie one behind the other
  ColumnPass pass_{};
  InputRow<E> input_rows_[most_rows_together];
  RowTap<E> row_taps_[most_rows_together];
  RowTap<E> plane_taps_[most_rows_together];
};

}  // namespace
}  // namespace voxpool::cpu::VOXPOOL_UNIT
