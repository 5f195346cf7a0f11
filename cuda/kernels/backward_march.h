#pragma once

#include <algorithm>

#include "cuda/kernels/convert.h"
#include "cuda/kernels/items.h"
#include "cuda/kernels/pack.h"

// What the backward kernels for fixed windows have in common: a gather, each thread the owner of a few inputs next to
// each other, moving along d.
namespace voxpool::cuda {

// How inputs and outputs of one axis meet when a thread owns a group of `stride` inputs: group m holds the inputs
// m * stride - pad + r, 0 <= r < stride, and tap t of output m + a falls on r = a * stride + t * dilation. So which tap
// of which output concerns which input of a group is known to the compiler.
template <class Axis>
struct Group {
  static constexpr int first_output = -(Axis::reach / Axis::stride);  // relative to the group's number

  // The input of the group that tap t of output m + a reads, or -1.
  static constexpr int input(int a, int t) {
    const int r = a * Axis::stride + t * Axis::dilation;
    return r >= 0 && r < Axis::stride ? r : -1;
  }
};

// What a backward kernel is given.
template <class T>
struct BackwardArguments {
  Items items;  // rows count groups; columns count groups, or vectors of columns
  Extent d, h, w;
  int32_t chunk, groups;  // groups along d of a thread, and of the volume
  const T* grad_output;
  const uint8_t* taps;
  VolumeStrides output_strides;
  T* grad_input;
  VolumeStrides strides;
};

// Gradients that a thread gathers while it moves along d: `count` inputs of each of the planes that the windows of one
// output plane reach. Each output plane is read once; every input gets its contributions in ascending order of outputs,
// starting from zero.
template <class D, class S, int count>
struct Sums {
  static constexpr int planes = std::max(D::span, D::stride);

  S at[planes][count];

  VOXPOOL_DEVICE void advance() {
    VOXPOOL_UNROLL
    for (int i = 0; i < planes; ++i) {
      VOXPOOL_UNROLL
      for (int j = 0; j < count; ++j) at[i][j] = i + D::stride < planes ? at[i + D::stride][j] : S(0);
    }
  }
};

// Calls add(od, sums) for every output plane with a window on the groups along d, and write(id, gradients) for every
// input plane of those groups.
template <class D, class S, int count, class Add, class Write>
VOXPOOL_DEVICE void march_backward(const Extent& d, Planes groups, Add&& add, Write&& write) {
  Sums<D, S, count> sums = {};
  for (int32_t od = groups.begin + Group<D>::first_output; od < groups.end; ++od) {
    if (d.has_output(od)) add(od, sums);
    VOXPOOL_UNROLL
    for (int i = 0; i < D::stride; ++i) {
      const int32_t id = od * D::stride - d.pad + i;
      if (od >= groups.begin && d.has_input(id)) write(id, sums.at[i]);
    }
    sums.advance();
  }
}

// Adds the gradient of an output with this tap to input j, on which the taps (td, th, tw) of that output fall, one on
// each plane td that its window reaches.
template <class Window, class S, int count>
VOXPOOL_DEVICE void add_gradient(Sums<typename Window::D, S, count>& sums, int tap, S gradient, int th, int tw, int j) {
  VOXPOOL_UNROLL
  for (int td = 0; td < Window::D::kernel; ++td) {
    const int code = (td * Window::H::kernel + th) * Window::W::kernel + tw;
    if (tap == code) sums.at[td * Window::D::dilation][j] += gradient;
  }
}

}  // namespace voxpool::cuda
