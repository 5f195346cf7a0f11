#pragma once

#include "cuda/kernels/column_maxima.h"
#include "cuda/kernels/forward_march.h"

namespace voxpool::cuda {

// Forward pooling with a fixed window over channels-first rows that begin at multiples of 16 bytes: a thread loads 16
// bytes of every row of its windows, and the few elements beside them that its outputs also need.
template <class T, Keep keep, class Window>
struct ForwardColumns {
  using Item = uint32_t;
  using H = typename Window::H;
  using W = typename Window::W;

  static constexpr int inputs = RowVector<T, W>::inputs, outputs = RowVector<T, W>::outputs;

  ForwardArguments<T> p;

  VOXPOOL_DEVICE void operator()(uint32_t item) const {
    with_padding<W>(p.w.pad, [&](auto padding) { run<padding>(item); });
  }

 private:
  template <int padding>
  using Columns = ColumnMaxima<T, keep, W, padding>;

  template <int padding>
  VOXPOOL_DEVICE void run(uint32_t item) const {
    const Position at = p.items.position(item);
    const int32_t oh = at.h, ow = at.w * outputs, h0 = oh * H::stride - p.h.pad, column = at.w * inputs;
    const T* const volume = settled(p.input + p.strides.volume(at.n, at.c));
    const ForwardResult<T> row = p.result.at(at.n, at.c, oh, ow);
    const uint32_t rows = taps_inside<H>(p.h, h0), first_row = first_tap<H>(h0) * p.code.h;
    const uint32_t first_column = column == 0 ? first_tap<W>(-padding) * p.code.w : 0;

    const auto plane = [&](int32_t id) {
      const bool inside = p.d.has_input(id);
      typename Columns<padding>::Row x[H::kernel];
      VOXPOOL_UNROLL
      for (int th = 0; th < H::kernel; ++th) {
        const uint32_t start = p.strides.element(id, h0 + th * H::dilation, 0);
        x[th].read(volume, start, column, p.w, inside && (rows >> th & 1));
      }
      Columns<padding> maxima = Columns<padding>::none([](int) { return 0; });
      VOXPOOL_UNROLL
      for (int th = 0; th < H::kernel; ++th) maxima.take(x[th], th * p.code.h, p.code.w);
      return maxima;
    };

    march<typename Window::D, Columns<padding>>(
        p.d, planes_of_chunk(at.chunk, p.chunk, p.d.out), p.code.d,
        [&](int i) { return first_row + (i == 0 ? first_column : 0); }, plane,
        [&](int32_t od, const Columns<padding>& maxima) {
          auto outputs_of_row = maxima.outputs();
          const int64_t position = p.position(od * Window::D::stride - p.d.pad, h0, column - padding);
          write(row, od, outputs_of_row, p.w.out - ow, p.aligned, position, W::stride);
        });
  }
};

}  // namespace voxpool::cuda
