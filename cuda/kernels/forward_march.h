#pragma once

#include "cuda/kernels/items.h"
#include "cuda/kernels/maxima.h"
#include "cuda/kernels/pack.h"

// What the forward kernels for fixed windows have in common: a thread owns a few outputs next to each other and moves
// along d. Of every input plane it takes the maximum over the taps of that plane once, and keeps as many planes as a
// window spans in registers, so that windows that overlap along d share them. What overlaps within a plane is shared
// through the first-level cache: each element comes from memory once, and the loads of a plane do not wait for each
// other.
namespace voxpool::cuda {

// Taps or indices of the outputs: codes grow by `d`, `h`, `w` from one tap to the next. Taps count them; indices are
// positions, so their codes are distances from the window's first element.
struct CodeSteps {
  uint32_t d, h, w;
};

// The results of a forward kernel, of which `taps` or `indices` may be null.
template <class T>
struct ForwardResult {
  T* output;
  uint8_t* taps;
  int64_t* indices;
  VolumeStrides strides;
  bool relu;

  // The same from outputs (n, c, 0, h, w) on.
  VOXPOOL_DEVICE ForwardResult at(uint32_t n, uint32_t c, int32_t h, int32_t w) const {
    const int64_t offset = strides.volume(n, c) + strides.element(0, h, w);
    return {settled(output + offset), taps == nullptr ? taps : taps + offset,
            indices == nullptr ? indices : indices + offset, strides, relu};
  }
};

// What a forward kernel is given.
template <class T>
struct ForwardArguments {
  Items items;  // along w: columns, or vectors of columns
  Extent d, h, w;
  int32_t chunk;  // output planes of a thread
  const T* input;
  VolumeStrides strides;
  CodeSteps code;
  ForwardResult<T> result;
  bool aligned;  // results too can be written a vector at a time

  // Position of an element in the unpadded input, or where it would be.
  VOXPOOL_DEVICE int64_t position(int32_t id, int32_t ih, int32_t iw) const {
    return (int64_t{id} * h.in + ih) * w.in + iw;
  }
};

// Writes `count` outputs that lie next to each other in memory, `valid` of them; all at once where `aligned`.
// `position` is that of the first tap of the first window, `position_step` how far apart the windows are.
template <class T, class AnyMaxima>
VOXPOOL_DEVICE void write(const ForwardResult<T>& result, int32_t od, AnyMaxima& maxima, int valid, bool aligned,
                          int64_t position, int32_t position_step) {
  constexpr int count = AnyMaxima::count;
  const uint32_t offset = result.strides.element(od, 0, 0);
  if (result.relu) maxima.rectify(no_tap<uint8_t>);
  Pack<T, count> values;
  VOXPOOL_UNROLL
  for (int i = 0; i < count; ++i) {
    values.at[i] = maxima.element(i);
  }
  const auto put = [&](auto* address, const auto& pack) {
    if (aligned && valid >= count) return store<count>(address, pack);
    VOXPOOL_UNROLL
    for (int i = 0; i < count; ++i) {
      if (i < valid) address[i] = pack.at[i];
    }
  };
  put(result.output + offset, values);
  if constexpr (AnyMaxima::keep == Keep::taps) {
    if (result.taps != nullptr) {
      Pack<uint8_t, count> taps;
      VOXPOOL_UNROLL
      for (int i = 0; i < count; ++i) taps.at[i] = static_cast<uint8_t>(maxima.code(i));
      put(result.taps + offset, taps);
    } else {
      Pack<int64_t, count> indices;
      VOXPOOL_UNROLL
      for (int i = 0; i < count; ++i) indices.at[i] = position + i * position_step + maxima.code(i);
      put(result.indices + offset, indices);
    }
  }
}

// The first tap of a window starting at `start` that lies inside the input.
template <class Axis>
VOXPOOL_DEVICE int first_tap(int32_t start) {
  return start < 0 ? (-start + Axis::dilation - 1) / Axis::dilation : 0;
}

// Which taps of a window starting at `start` lie inside the input, a bit for each.
template <class Axis>
VOXPOOL_DEVICE uint32_t taps_inside(const Extent& extent, int32_t start) {
  uint32_t inside = 0;
  VOXPOOL_UNROLL
  for (int t = 0; t < Axis::kernel; ++t) {
    inside |= static_cast<uint32_t>(extent.has_input(start + t * Axis::dilation)) << t;
  }
  return inside;
}

// Calls emit(od, maxima) for every one of the output planes. plane(id) reduces one input plane, one outside the
// input to nothing; first_code(i) is the code, within its plane, of the first tap of output i inside the input.
template <class D, class AnyMaxima, class FirstCode, class Plane, class Emit>
VOXPOOL_DEVICE void march(const Extent& extent, Planes planes, uint32_t step, FirstCode&& first_code, Plane&& plane,
                          Emit&& emit) {
  constexpr int fresh = D::span < D::stride ? D::span : D::stride;
  // Before the first output plane, those that it shares with earlier ones: by the same code, which is long.
  constexpr int before = (D::span - fresh + D::stride - 1) / D::stride;
  AnyMaxima ring[D::span];
  VOXPOOL_UNROLL
  for (int i = 0; i < D::span; ++i) ring[i] = AnyMaxima::none([](int) { return 0; });

  for (int32_t od = planes.begin - before; od < planes.end; ++od) {
    const int32_t start = od * D::stride - extent.pad;
    VOXPOOL_UNROLL
    for (int i = 0; i + D::stride < D::span; ++i) ring[i] = ring[i + D::stride];
    VOXPOOL_UNROLL
    for (int i = D::span - fresh; i < D::span; ++i) ring[i] = plane(start + i);
    if (od < planes.begin) continue;

    const uint32_t first_plane = first_tap<D>(start) * step;
    AnyMaxima maxima = AnyMaxima::none([&](int i) { return first_plane + first_code(i); });
    VOXPOOL_UNROLL
    for (int t = 0; t < D::kernel; ++t) maxima.take(ring[t * D::dilation], t * step);
    emit(od, maxima);
  }
}

}  // namespace voxpool::cuda
