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

  Items items;
  Extent d, h, w;
  int32_t chunk;  // output planes of a thread
  const T* input;
  VolumeStrides strides;
  CodeSteps code;
  ForwardResult<T> result;
  bool aligned;  // results too can be written a vector at a time

  VOXPOOL_DEVICE void operator()(uint32_t item) const {
    const Position at = items.position(item);
    const int32_t oh = at.h, ow = at.w, h0 = oh * H::stride - h.pad, w0 = ow * W::stride - w.pad;
    const T* const volume = settled(input + strides.volume(at.n, at.c * lanes));
    const ForwardResult<T> column =
        result.from(result.strides.volume(at.n, at.c * lanes) + result.strides.element(0, oh, ow));
    const uint32_t rows = taps_inside<H>(h, h0), columns = taps_inside<W>(w, w0);
    const uint32_t first_code = first_tap<H>(h0) * code.h + first_tap<W>(w0) * code.w;

    const auto plane = [&](int32_t id) {
      Pack<T, lanes> x[H::kernel][W::kernel];
      const bool inside = d.has_input(id);
      VOXPOOL_UNROLL
      for (int th = 0; th < H::kernel; ++th) {
        VOXPOOL_UNROLL
        for (int tw = 0; tw < W::kernel; ++tw) {
          x[th][tw] = load_if<lanes>(inside && (rows >> th & columns >> tw & 1), volume,
                                     strides.element(id, h0 + th * H::dilation, w0 + tw * W::dilation), lowest<T>());
        }
      }
      Lanes maxima = Lanes::none([](int) { return 0; });
      VOXPOOL_UNROLL
      for (int th = 0; th < H::kernel; ++th) {
        VOXPOOL_UNROLL
        for (int tw = 0; tw < W::kernel; ++tw) maxima.take(x[th][tw], th * code.h + tw * code.w);
      }
      return maxima;
    };

    const int32_t begin = at.chunk * chunk, end = begin + chunk < d.out ? begin + chunk : d.out;
    march<typename Window::D, Lanes>(
        d, begin, end, code.d, [&](int) { return first_code; }, plane,
        [&](int32_t od, Lanes& maxima) {
          const int64_t position = (int64_t{od} * Window::D::stride - d.pad) * h.in * w.in + int64_t{h0} * w.in + w0;
          write(column, od * result.strides.d, maxima, lanes, aligned, position, 0);
        });
  }
};

}  // namespace voxpool::cuda
