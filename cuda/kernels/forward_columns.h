#pragma once

#include <algorithm>

#include "cuda/kernels/forward_march.h"

namespace voxpool::cuda {

// Forward pooling with a fixed window over channels-first rows that begin at multiples of 16 bytes: a thread loads 16
// bytes of every row of its windows, and the few elements beside them that its outputs also need.
template <class T, Keep keep, class Window>
struct ForwardColumns {
  using Item = uint32_t;
  using H = typename Window::H;
  using W = typename Window::W;
  using Element = typename Maximum<T, keep>::Element;
  using Value = typename Element::Value;

  static constexpr int inputs = 16 / sizeof(T);
  static constexpr int outputs = inputs / W::stride;
  // Windows that overlap may begin one element before the vector; those that do not have no padding here.
  static constexpr int most_padding = W::overlapping ? 1 : 0;

  Items items;  // columns count vectors
  Extent d, h, w;
  int32_t chunk;  // output planes of a thread
  const T* input;
  VolumeStrides strides;
  CodeSteps code;
  ForwardResult<T> result;
  bool aligned;  // outputs too can be written a vector at a time

  VOXPOOL_DEVICE void operator()(uint32_t item) const {
    if constexpr (most_padding > 0) {
      if (w.pad > 0) return run<1>(item);
    }
    run<0>(item);
  }

 private:
  // A row's vector with `padding` elements before it and as many behind it as the last window reads.
  template <int padding>
  struct Row {
    static constexpr int behind = std::max(0, (outputs - 1) * W::stride + W::reach - padding - (inputs - 1));
    static constexpr int vectors = 1 + (behind > 1 ? (behind + inputs - 1) / inputs : 0);

    Pack<T, inputs> own[vectors];
    T before;
    T after;

    // Of the row at `row`, from column `begin` on; lowest where the row does not go, or all of it unless `inside`.
    VOXPOOL_DEVICE void read(const T* volume, int64_t row, int32_t begin, const Extent& w, bool inside) {
      VOXPOOL_UNROLL
      for (int i = 0; i < vectors; ++i) {
        own[i] = splat<inputs>(lowest<T>());
        if (inside && begin + i * inputs < w.in) own[i] = load<inputs>(volume + (row + begin + i * inputs));
      }
      if constexpr (padding > 0) {
        before = lowest<T>();
        if (inside && begin > 0) before = load<1>(volume + (row + begin - 1)).at[0];
      }
      if constexpr (behind == 1) {
        after = lowest<T>();
        if (inside && begin + inputs < w.in) after = load<1>(volume + (row + begin + inputs)).at[0];
      }
    }

    // Element i - padding, counted from the vector's first.
    VOXPOOL_DEVICE T at(int i) const {
      const int place = i - padding;
      if (place < 0) return before;
      if (place >= vectors * inputs) return after;
      return own[place / inputs].at[place % inputs];
    }
  };

  template <int padding>
  VOXPOOL_DEVICE void run(uint32_t item) const {
    const Position at = items.position(item);
    const int32_t oh = at.h, ow = at.w * outputs, h0 = oh * H::stride - h.pad, column = at.w * inputs;
    const T* const volume = input + (at.n * strides.n + at.c * strides.c);
    const int64_t out = at.n * result.strides.n + at.c * result.strides.c + int64_t{oh} * result.strides.h + ow;
    const uint32_t rows = taps_inside<H>(h, h0), first_row = first_tap<H>(h0) * code.h;
    const uint32_t first_column = column == 0 ? first_tap<W>(-padding) * code.w : 0;

    const auto plane = [&](int32_t id) {
      const bool inside = d.has_input(id);
      Row<padding> x[H::kernel];
      VOXPOOL_UNROLL
      for (int th = 0; th < H::kernel; ++th) {
        const int64_t row = int64_t{id} * strides.d + int64_t{h0 + th * H::dilation} * strides.h;
        x[th].read(volume, row, column, w, inside && (rows >> th & 1));
      }
      Maxima<T, keep, outputs> maxima;
      VOXPOOL_UNROLL
      for (int i = 0; i < outputs; ++i) {
        maxima.at[i] = Maximum<T, keep>::none(0);
        VOXPOOL_UNROLL
        for (int th = 0; th < H::kernel; ++th) {
          VOXPOOL_UNROLL
          for (int tw = 0; tw < W::kernel; ++tw) {
            maxima.at[i].take(Element::load(x[th].at(i * W::stride + tw * W::dilation)), th * code.h + tw * code.w);
          }
        }
      }
      return maxima;
    };

    const int32_t begin = at.chunk * chunk, end = begin + chunk < d.out ? begin + chunk : d.out;
    march<typename Window::D, T, keep, outputs>(
        d, begin, end, code.d, [&](int i) { return first_row + (i == 0 ? first_column : 0); }, plane,
        [&](int32_t od, Maxima<T, keep, outputs>& maxima) {
          const int64_t position =
              (int64_t{od} * Window::D::stride - d.pad) * h.in * w.in + int64_t{h0} * w.in + column - padding;
          write(result, out + int64_t{od} * result.strides.d, maxima, w.out - ow, aligned, position, W::stride);
        });
  }
};

}  // namespace voxpool::cuda
