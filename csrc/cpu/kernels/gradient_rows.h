#pragma once

#include "cpu/kernels/axis_tables.h"
#include "cpu/simd/gradient_lanes.h"

// What a row of grad_input is gathered from.
namespace voxpool::cpu::VOXPOOL_UNIT {
namespace {

// A window has at most 255 taps: no more output rows read an input row, no more windows of a row read a column.
constexpr int most_taps = 255;

// An output row (od, oh) seen from an input row: `code` is that of its tap (td, th, 0) on the input row.
template <class G>
struct GradientRow {
  const G* gradient;
  const uint8_t* taps;
  int64_t code;
};

template <class G>
struct GradientRows {
  const GradientRow<G>* rows;  // ascending
  int count;
};

}  // namespace
}  // namespace voxpool::cpu::VOXPOOL_UNIT
