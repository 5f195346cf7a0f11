#pragma once

#include "cpu/kernels/axis_tables.h"
#include "cpu/simd/gradient_lanes.h"

// What a row of grad_input is gathered from.
namespace voxpool::cpu::VOXPOOL_UNIT {
namespace {

// A window has at most 255 taps. No more windows of a row read a column; and no more output rows read a period of input
// rows, as each tap (td, th) lies on at most one of them.
constexpr int most_taps = 255;

// An output row (od, oh) seen from an input row: `code` is that of its tap (td, th, 0) on the input row.
template <class G>
struct GradientRow {
  const G* gradient;
  const uint8_t* taps;
  int64_t code;
};

// The output rows that read one row of grad_input, ascending.
template <class G>
struct GradientRows {
  const GradientRow<G>* rows;
  int count;
};

// Rows of grad_input that follow each other. What reads them repeats after `period` of them, `output_step` elements
// further on in grad_output.
template <class G>
struct RowBlock {
  const GradientRows<G>* rows;  // of each of the first
  int64_t period;
  int64_t count;
  int64_t output_step;
  int64_t input_step;  // elements from one row of grad_input to the next
  Stores stores;

  // Calls f(output rows, how much further on they are, offset in grad_input) for every row.
  template <class F>
  VOXPOOL_INLINE void for_each(F&& f) const {
    int64_t at = 0;
    for (int64_t i = 0, residue = 0, row = 0; i < count; ++i, row += input_step) {
      f(rows[residue], at, row);
      if (++residue < period) continue;
      residue = 0;
      at += output_step;
    }
  }
};

}  // namespace
}  // namespace voxpool::cpu::VOXPOOL_UNIT
