#pragma once

#include <cstddef>

#include "core/problem.h"
#include "cuda/queue.h"

// The kernels for fixed windows. Each is compiled for float, Float16 and BFloat16 in a source of its own; what a
// problem must be like for them is in kernel_table.cpp.
namespace voxpool::cuda {

// 16 bytes of a channels-first row.
template <class T>
void launch_columns(const Forward& problem, const Queue& queue);
template <class T>
void launch_columns(const Backward& problem, const Queue& queue);

// 16 bytes of neighbouring channels.
template <class T>
void launch_lanes(const Forward& problem, const Queue& queue);
template <class T>
void launch_lanes(const Backward& problem, const Queue& queue);

// One element at any strides.
template <class T>
void launch_scalar(const Forward& problem, const Queue& queue);
template <class T>
void launch_scalar(const Backward& problem, const Queue& queue);

// Channels that a thread of launch_lanes owns: 16 bytes of values. With taps a channel costs three times the registers,
// and backward keeps the sums of all inputs from one window to the next: four channels of any type.
constexpr int forward_lanes(size_t element_bytes, bool with_taps) {
  return with_taps ? 4 : 16 / static_cast<int>(element_bytes);
}
inline constexpr int backward_lanes = 4;

}  // namespace voxpool::cuda
