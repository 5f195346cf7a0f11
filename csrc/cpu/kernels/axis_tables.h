#pragma once

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

// Per input position: the outputs that read it, ascending, and by which tap.
struct InputWindow {
  int64_t output;
  int64_t tap;
};

struct InputWindows {
  const InputWindow* windows;
  int64_t count;
};

class WindowTable {
 public:
  static int64_t bytes(const Axis& axis) {
    return Scratch::bytes_for<InputWindow>(most_entries(axis)) + Scratch::bytes_for<int64_t>(axis.in + 1) +
           Scratch::bytes_for<int64_t>(axis.in);
  }

  WindowTable(const Axis& axis, Scratch& scratch)
      : entries_(scratch.take<InputWindow>(most_entries(axis))),
        first_(scratch.take<int64_t>(axis.in + 1)),
        alike_(scratch.take<int64_t>(axis.in)) {
    int64_t used = 0;
    for (int64_t i = 0; i < axis.in; ++i) {
      first_[i] = used;
      const Range windows = axis.windows(i);
      for (int64_t o = windows.begin; o < windows.end; ++o) {
        const int64_t tap = axis.tap_on(o, i);
        if (tap >= 0) entries_[used++] = {o, tap};
      }
    }
    first_[axis.in] = used;
    for (int64_t i = axis.in; i-- > 0;) {
      const bool as_next = i + axis.stride < axis.in && same_taps((*this)[i], (*this)[i + axis.stride]);
      alike_[i] = as_next ? alike_[i + axis.stride] + 1 : 1;
    }
  }

  // How many of the positions from i on, a stride apart, are read by the same taps of outputs that follow each other:
  // all but those near an end of the axis.
  VOXPOOL_INLINE int64_t alike(int64_t i) const { return alike_[i]; }

  VOXPOOL_INLINE InputWindows operator[](int64_t i) const { return {entries_ + first_[i], first_[i + 1] - first_[i]}; }

 private:
  // Every output has at most `kernel` taps, each on one position.
  static int64_t most_entries(const Axis& axis) { return axis.out * axis.kernel; }

  // The same taps mean the same outputs, each one further on.
  static bool same_taps(const InputWindows& a, const InputWindows& b) {
    if (a.count != b.count) return false;
    for (int64_t k = 0; k < a.count; ++k) {
      if (a.windows[k].tap != b.windows[k].tap) return false;
    }
    return true;
  }

  InputWindow* entries_;
  int64_t* first_;
  int64_t* alike_;
};

}  // namespace
}  // namespace voxpool::cpu::VOXPOOL_UNIT
