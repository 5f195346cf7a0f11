#pragma once

#include <array>

#include "core/problem.h"

namespace voxpool::cpu {

// A forward problem with its spatial axes in the order in which the input lies in memory, outermost first: a permuted
// view is pooled where it is. Taps keep their codes and positions their place in the volume as the caller numbers it,
// so the axes bring their steps along.
struct OrderedForward {
  Forward problem;
  std::array<int64_t, 3> index_step;  // of the flat position in the caller's volume, per axis
  bool in_scan_order;                 // the axes are still d, h, w: taps are met in ascending order
};

OrderedForward in_memory_order(const Forward& problem);

}  // namespace voxpool::cpu
