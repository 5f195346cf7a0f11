#pragma once

#include "cpu/kernels/gather_gradient.h"
#include "cpu/tile_plan.h"

// Backward pooling as a gather over rows of grad_input. Tiles go through the planes of a strip of rows in order, so
// that the rows of grad_output that several planes need are still in cache.
namespace voxpool::cpu::VOXPOOL_UNIT {
namespace {

template <class T>
void gather_tile(const Backward& p, const GatherPass& pass, GatherRow<T> gather_row, const Tile& tile) {
  const Geometry& g = p.geometry;
  const Strides &in = p.input_strides, &out = p.output_strides;
  const int64_t volume = tile.n * out.n + tile.c * out.c;
  const T* gradient = static_cast<const T*>(p.grad_output) + volume;
  const uint8_t* taps = static_cast<const uint8_t*>(p.taps) + volume;
  T* grad_input = static_cast<T*>(p.grad_input) + (tile.n * in.n + tile.c * in.c);
  GradientRow<T> rows[most_taps];

  for (int64_t d = tile.d.begin; d < tile.d.end; ++d) {
    const Range planes = g.d().windows(d);
    for (int64_t h = tile.h.begin; h < tile.h.end; ++h) {
      const Range lines = g.h().windows(h);
      int count = 0;
      for (int64_t od = planes.begin; od < planes.end; ++od) {
        const int64_t td = g.d().tap_on(od, d);
        if (td < 0) continue;
        for (int64_t oh = lines.begin; oh < lines.end; ++oh) {
          const int64_t th = g.h().tap_on(oh, h);
          if (th < 0) continue;
          const int64_t at = od * out.d + oh * out.h;
          rows[count++] = {gradient + at, taps + at, td * p.code.step[0] + th * p.code.step[1]};
        }
      }
      gather_row(pass, {rows, count}, grad_input + (d * in.d + h * in.h));
    }
  }
}

template <Layout layout>
const char* gather_refusal(const Backward& p) {
  const bool first = layout == Layout::channels_first;
  if (p.code.type != TapType::u8) return "a window has more than 255 taps";
  if (first && (p.input_strides.w != 1 || p.output_strides.w != 1)) {
    return "columns do not lie next to each other (w stride is not 1)";
  }
  if (!first && (p.input_strides.c != 1 || p.output_strides.c != 1)) {
    return "channels do not lie next to each other (c stride is not 1)";
  }
  if (!first && p.output_strides.w != p.geometry.channels) return "columns of channels have gaps in the output";
  return nullptr;
}

template <Layout layout>
Plan gather_plan(const Backward& p, int64_t threads) {
  return plan_gather(p.geometry, layout, static_cast<int64_t>(size_of(p.dtype)), threads);
}

template <Layout layout>
void gather_run(const Backward& p, const Plan& plan, int64_t begin, int64_t end) {
  const Axis& w = p.geometry.w();
  dispatch_floating(p.dtype, [&]<class T>(T) {
    const bool first = layout == Layout::channels_first;
    const GatherPass pass{w, first ? 1 : p.geometry.channels, p.input_strides.w};
    const GatherRow<T> gather_row = first ? select_gather_row_first<T>(w) : gather_row_last<T>;
    for (int64_t unit = begin; unit < end; ++unit) {
      gather_tile<T>(p, pass, gather_row, gather_tile_of(p.geometry, layout, plan, unit));
    }
  });
}

}  // namespace
}  // namespace voxpool::cpu::VOXPOOL_UNIT
