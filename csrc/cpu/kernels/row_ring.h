#pragma once

#include "cpu/kernels/axis_tables.h"
#include "cpu/kernels/merge_rows.h"
#include "cpu/kernels/scratch.h"

// Reduced rows that are kept for the other windows that need them.
namespace voxpool::cpu::VOXPOOL_UNIT {
namespace {

// Row number i lies in slot i % slots, so that rows that follow each other lie one slot apart, up to where the ring
// closes.
template <class E>
class RowRing {
 public:
  static int64_t bytes(int64_t rows, int64_t slots, int64_t slot_size, bool codes) {
    return SlotTable::bytes(rows) + Scratch::bytes_for<typename E::Lane>(slots * slot_size) +
           Scratch::bytes_for<int64_t>(slots) + (codes ? Scratch::bytes_for<uint8_t>(slots * slot_size) : 0);
  }

  RowRing(int64_t rows, int64_t slots, int64_t slot_size, bool codes, Scratch& scratch)
      : slot_(rows, slots, scratch),
        slots_(slots),
        slot_size_(slot_size),
        values_(scratch.take<typename E::Lane>(slots * slot_size)),
        keys_(scratch.take<int64_t>(slots)),
        codes_(codes ? scratch.take<uint8_t>(slots * slot_size) : nullptr) {}

  void clear() {
    for (int64_t i = 0; i < slots_; ++i) keys_[i] = -1;
  }

  // Lanes from one slot to the next.
  int64_t slot_size() const { return slot_size_; }

  // Row i from a lane on.
  ReducedRow<E> row(int64_t i, int64_t lane = 0) const {
    const int64_t at = slot_[i] * slot_size_ + lane;
    return {values_ + at, codes_ == nullptr ? nullptr : codes_ + at};
  }

  // Whether the slot of row i holds what `key` stands for.
  bool holds(int64_t i, int64_t key) const { return keys_[slot_[i]] == key; }
  void put(int64_t i, int64_t key) { keys_[slot_[i]] = key; }

  // Whether the rows from `first` to `last`, no more than there are slots, do not pass the place where the ring closes.
  bool in_line(int64_t first, int64_t last) const { return slot_[first] <= slot_[last]; }

  // How many windows that start `step` rows after each other lie in line, if the first, which spans the rows from
  // `first` to `last`, does; else 1.
  int64_t windows_in_line(int64_t first, int64_t last, int64_t step) const {
    return in_line(first, last) ? (slots_ - 1 - slot_[last]) / step + 1 : 1;
  }

 private:
  SlotTable slot_;
  int64_t slots_;
  int64_t slot_size_;
  typename E::Lane* values_;
  int64_t* keys_;  // per slot
  uint8_t* codes_;
};

}  // namespace
}  // namespace voxpool::cpu::VOXPOOL_UNIT
