#pragma once

#include <type_traits>

#include "cuda/kernels/forward_march.h"

namespace voxpool::cuda {

// Forward pooling with a fixed window where a thread owns `lanes` neighbouring channels of one column of outputs along
// d: 16 bytes of a channels-last tensor, or one element of a tensor of any strides.
template <class T, Keep keep, class Window, int lanes>
struct ForwardLanes {
  using Item = uint32_t;
  using H = typename Window::H;
  using W = typename Window::W;
  static constexpr bool packed = is_half<T> && keep == Keep::values && lanes % 2 == 0;
  using Lanes = std::conditional_t<packed, PackedMaxima<T, lanes>, Maxima<T, keep, lanes>>;

  ForwardArguments<T> p;

  VOXPOOL_DEVICE void operator()(uint32_t item) const {
    const Position at = p.items.position(item);
    const int32_t oh = at.h, ow = at.w, h0 = oh * H::stride - p.h.pad, w0 = ow * W::stride - p.w.pad;
    const T* const volume = settled(p.input + p.strides.volume(at.n, at.c * lanes));
    const ForwardResult<T> column = p.result.at(at.n, at.c * lanes, oh, ow);
    const uint32_t rows = taps_inside<H>(p.h, h0), columns = taps_inside<W>(p.w, w0);
    const uint32_t first_code = first_tap<H>(h0) * p.code.h + first_tap<W>(w0) * p.code.w;

    const auto plane = [&](int32_t id) {
      const bool inside = p.d.has_input(id);
      Pack<T, lanes> x[H::kernel][W::kernel];
      VOXPOOL_UNROLL
      for (int th = 0; th < H::kernel; ++th) {
        VOXPOOL_UNROLL
        for (int tw = 0; tw < W::kernel; ++tw) {
          const uint32_t element = p.strides.element(id, h0 + th * H::dilation, w0 + tw * W::dilation);
          x[th][tw] = load_if<lanes>(inside && (rows >> th & columns >> tw & 1), volume, element, lowest<T>());
        }
      }
      Lanes maxima = Lanes::none([](int) { return 0; });
      VOXPOOL_UNROLL
      for (int th = 0; th < H::kernel; ++th) {
        VOXPOOL_UNROLL
        for (int tw = 0; tw < W::kernel; ++tw) maxima.take(x[th][tw], th * p.code.h + tw * p.code.w);
      }
      return maxima;
    };

    march<typename Window::D, Lanes>(
        p.d, planes_of_chunk(at.chunk, p.chunk, p.d.out), p.code.d, [&](int) { return first_code; }, plane,
        [&](int32_t od, Lanes& maxima) {
          const int64_t position = p.position(od * Window::D::stride - p.d.pad, h0, w0);
          write(column, od, maxima, lanes, p.aligned, position, 0);
        });
  }
};

}  // namespace voxpool::cuda
