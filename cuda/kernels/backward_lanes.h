#pragma once

#include "cuda/kernels/backward_march.h"

namespace voxpool::cuda {

// Backward pooling with a fixed window where a thread owns, for `lanes` neighbouring channels, the inputs between one
// window and the next along h and w: a vector of a channels-last tensor, or one element of a tensor of any strides.
template <class T, class Window, int lanes>
struct BackwardLanes {
  using Item = uint32_t;
  using H = typename Window::H;
  using W = typename Window::W;
  static constexpr int count = H::stride * W::stride * lanes;

  BackwardArguments<T> p;

  VOXPOOL_DEVICE void operator()(uint32_t item) const {
    const Position at = p.items.position(item);
    const int32_t gh = at.h, gw = at.w;
    const int64_t outputs = p.output_strides.volume(at.n, at.c * lanes);
    const T* const gradients = settled(p.grad_output + outputs);
    const uint8_t* const taps = settled(p.taps + outputs);
    T* const volume = settled(p.grad_input + p.strides.volume(at.n, at.c * lanes));

    march_backward<typename Window::D, Sum<T>, count>(
        p.d, planes_of_chunk(at.chunk, p.chunk, p.groups),
        [&](int32_t od, auto& sums) {
          VOXPOOL_UNROLL
          for (int a = Group<H>::first_output; a <= 0; ++a) {
            VOXPOOL_UNROLL
            for (int b = Group<W>::first_output; b <= 0; ++b) {
              if (!p.h.has_output(gh + a) || !p.w.has_output(gw + b)) continue;
              const uint32_t o = p.output_strides.element(od, gh + a, gw + b);
              add(sums, load<lanes>(gradients + o), load<lanes>(taps + o), a, b);
            }
          }
        },
        [&](int32_t id, const Sum<T>(&sums)[count]) {
          VOXPOOL_UNROLL
          for (int r = 0; r < H::stride; ++r) {
            VOXPOOL_UNROLL
            for (int q = 0; q < W::stride; ++q) {
              const int32_t ih = gh * H::stride - p.h.pad + r, iw = gw * W::stride - p.w.pad + q;
              if (!p.h.has_input(ih) || !p.w.has_input(iw)) continue;
              Pack<T, lanes> pack;
              VOXPOOL_UNROLL
              for (int l = 0; l < lanes; ++l) pack.at[l] = from_sum<T>(sums[(r * W::stride + q) * lanes + l]);
              store<lanes>(volume + p.strides.element(id, ih, iw), pack);
            }
          }
        });
  }

 private:
  // The outputs (a, b) from the group's own.
  template <class AnySums>
  static VOXPOOL_DEVICE void add(AnySums& sums, const Pack<T, lanes>& gradient, const Pack<uint8_t, lanes>& tap, int a,
                                 int b) {
    VOXPOOL_UNROLL
    for (int th = 0; th < H::kernel; ++th) {
      VOXPOOL_UNROLL
      for (int tw = 0; tw < W::kernel; ++tw) {
        const int r = Group<H>::input(a, th), q = Group<W>::input(b, tw);
        if (r < 0 || q < 0) continue;
        VOXPOOL_UNROLL
        for (int l = 0; l < lanes; ++l) {
          add_gradient<Window>(sums, tap.at[l], to_sum(gradient.at[l]), th, tw, (r * W::stride + q) * lanes + l);
        }
      }
    }
  }
};

}  // namespace voxpool::cuda
