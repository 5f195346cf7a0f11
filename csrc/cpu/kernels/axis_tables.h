#pragma once

#include <numeric>

#include "core/geometry.h"
#include "core/scalar_type.h"
#include "cpu/kernels/scratch.h"

// What the inner loops need to know about an axis, looked up instead of divided out row by row.
namespace voxpool::cpu::VOXPOOL_UNIT {
namespace {

// Windows that the compiler knows are faster, and code of their own for every type. Processors without AVX2 do without:
// the library would be larger by more than a megabyte.
constexpr bool knows_windows = vector_bytes > 16;

// Whether a thread would need more scratch than the input takes, and more than a few of it together may. Tables and
// rings are nothing next to a volume, unless it is nearly all one axis. In floating point, as the lengths of an
// expanded view have products beyond an int64.
VOXPOOL_INLINE bool is_out_of_proportion(double scratch, const Geometry& g, ScalarType dtype) {
  constexpr double always_fine = 64 << 20;
  const auto volumes = static_cast<double>(g.batch) * static_cast<double>(g.channels);
  return scratch > always_fine &&
         scratch > volumes * static_cast<double>(g.input_volume()) * static_cast<double>(size_of(dtype));
}
constexpr const char* too_much_scratch = "an axis is so long that its tables would take more memory than the input";

// Per output: its taps inside the input, the position of the first of them, and how many outputs from this one on have
// the same taps.
struct OutputTaps {
  Range taps;
  int64_t position;
  int64_t alike;
};

class TapTable {
 public:
  static int64_t bytes(const Axis& axis) { return Scratch::bytes_for<OutputTaps>(axis.out); }

  TapTable() = default;
  TapTable(const Axis& axis, Scratch& scratch) : entries_(scratch.take<OutputTaps>(axis.out)) {
    for (int64_t o = axis.out; o-- > 0;) {
      const Range taps = axis.taps(o);
      const bool as_next =
          o + 1 < axis.out && taps.begin == entries_[o + 1].taps.begin && taps.end == entries_[o + 1].taps.end;
      entries_[o] = {taps, axis.start(o) + taps.begin * axis.dilation, as_next ? entries_[o + 1].alike + 1 : 1};
    }
  }

  VOXPOOL_INLINE const OutputTaps& operator[](int64_t o) const { return entries_[o]; }

 private:
  OutputTaps* entries_ = nullptr;
};

// Per position on an axis: position % slots.
class SlotTable {
 public:
  static int64_t bytes(int64_t positions) { return Scratch::bytes_for<int32_t>(positions); }

  SlotTable(int64_t positions, int64_t slots, Scratch& scratch) : slot_(scratch.take<int32_t>(positions)) {
    for (int64_t i = 0, slot = 0; i < positions; ++i) {
      slot_[i] = static_cast<int32_t>(slot);
      slot = slot + 1 == slots ? 0 : slot + 1;
    }
  }

  VOXPOOL_INLINE int64_t operator[](int64_t position) const { return slot_[position]; }

 private:
  int32_t* slot_;
};

// The outputs that read one input position, ascending, and by which tap: both advance by the same steps at every
// position of an axis, so that a table of them does not grow with the kernel.
struct InputWindows {
  int64_t count;
  int64_t output, tap;  // of the first
  int64_t output_step, tap_step;

  // Calls f(output, tap) for each.
  template <class F>
  VOXPOOL_INLINE void for_each(F&& f) const {
    for (int64_t i = 0, o = output, t = tap; i < count; ++i, o += output_step, t += tap_step) f(o, t);
  }
};

class WindowTable {
 public:
  static int64_t bytes(const Axis& axis) { return Scratch::bytes_for<Entry>(axis.in); }

  WindowTable(const Axis& axis, Scratch& scratch)
      : output_step_(axis.dilation / std::gcd(axis.dilation, axis.stride)),
        tap_step_(-(axis.stride * output_step_ / axis.dilation)),
        entries_(scratch.take<Entry>(axis.in)) {
    for (int64_t i = axis.in; i-- > 0;) {
      const Range windows = axis.windows(i);
      int64_t first = windows.begin;
      while (first < windows.end && axis.tap_on(first, i) < 0) ++first;
      Entry& entry = entries_[i];
      entry = {0, first, 0, 1};
      if (first < windows.end) {
        entry.count = (windows.end - 1 - first) / output_step_ + 1;
        entry.tap = axis.tap_on(first, i);
      }
      if (i + axis.stride >= axis.in) continue;
      const Entry& next = entries_[i + axis.stride];
      if (entry.count == next.count && entry.tap == next.tap) entry.alike = next.alike + 1;
    }
  }

  // How many of the positions from i on, a stride apart, are read by the same taps of outputs that follow each other:
  // all but those near an end of the axis.
  VOXPOOL_INLINE int64_t alike(int64_t i) const { return entries_[i].alike; }

  VOXPOOL_INLINE InputWindows operator[](int64_t i) const {
    const Entry& entry = entries_[i];
    return {entry.count, entry.output, entry.tap, output_step_, tap_step_};
  }

 private:
  struct Entry {
    int64_t count, output, tap, alike;
  };

  int64_t output_step_, tap_step_;
  Entry* entries_;
};

}  // namespace
}  // namespace voxpool::cpu::VOXPOOL_UNIT
