#pragma once

#include "cuda/kernels/backward_march.h"

namespace voxpool::cuda {

// Backward pooling with a fixed window into channels-first rows that begin at multiples of 16 bytes: a thread writes 16
// bytes of each row between one window and the next along h, from the vector of outputs above them and the few outputs
// beside it whose windows reach them.
template <class T, class Window>
struct BackwardColumns {
  using Item = uint32_t;
  using H = typename Window::H;
  using W = typename Window::W;

  static constexpr int inputs = RowVector<T, W>::inputs, outputs = RowVector<T, W>::outputs;
  static constexpr int count = H::stride * inputs;

  BackwardArguments<T> p;

  VOXPOOL_DEVICE void operator()(uint32_t item) const {
    with_padding<W>(p.w.pad, [&](auto padding) { run<padding>(item); });
  }

 private:
  // The outputs whose windows reach the vector, as many before and behind those above it as the padding makes it.
  template <int padding>
  struct Row {
    static constexpr int before = std::max(0, (W::reach - padding) / W::stride);
    static constexpr int behind = std::max(0, (inputs - 1 + padding) / W::stride - (outputs - 1));

    T gradient[before + outputs + behind];
    uint8_t tap[before + outputs + behind];

    // Without a tap where the row does not go.
    VOXPOOL_DEVICE void read(const T* gradients, const uint8_t* taps, uint32_t row, int32_t begin, const Extent& w) {
      if (begin < w.out) {
        const Pack<T, outputs> g = load<outputs>(gradients + (row + begin));
        const Pack<uint8_t, outputs> t = load<outputs>(taps + (row + begin));
        VOXPOOL_UNROLL
        for (int i = 0; i < outputs; ++i) gradient[before + i] = g.at[i], tap[before + i] = t.at[i];
      } else {
        VOXPOOL_UNROLL
        for (int i = 0; i < outputs; ++i) gradient[before + i] = T{}, tap[before + i] = no_tap<uint8_t>;
      }
      VOXPOOL_UNROLL
      for (int i = 0; i < before; ++i) read_one(i, gradients, taps, row, begin - before + i, w);
      VOXPOOL_UNROLL
      for (int i = 0; i < behind; ++i) {
        read_one(before + outputs + i, gradients, taps, row, begin + outputs + i, w);
      }
    }

   private:
    VOXPOOL_DEVICE void read_one(int i, const T* gradients, const uint8_t* taps, uint32_t row, int32_t ow,
                                 const Extent& w) {
      gradient[i] = T{};
      tap[i] = no_tap<uint8_t>;
      if (!w.has_output(ow)) return;
      gradient[i] = load<1>(gradients + (row + ow)).at[0];
      tap[i] = load<1>(taps + (row + ow)).at[0];
    }
  };

  template <int padding>
  VOXPOOL_DEVICE void run(uint32_t item) const {
    const Position at = p.items.position(item);
    const int32_t gh = at.h, ow = at.w * outputs, iw = at.w * inputs;
    const int64_t offset = p.output_strides.volume(at.n, at.c);
    const T* const gradients = settled(p.grad_output + offset);
    const uint8_t* const taps = settled(p.taps + offset);
    T* const volume = settled(p.grad_input + p.strides.volume(at.n, at.c) + iw);

    march_backward<typename Window::D, Sum<T>, count>(
        p.d, planes_of_chunk(at.chunk, p.chunk, p.groups),
        [&](int32_t od, auto& sums) {
          VOXPOOL_UNROLL
          for (int a = Group<H>::first_output; a <= 0; ++a) {
            if (!p.h.has_output(gh + a)) continue;
            Row<padding> row;
            row.read(gradients, taps, p.output_strides.element(od, gh + a, 0), ow, p.w);
            add(sums, row, a);
          }
        },
        [&](int32_t id, const Sum<T>(&sums)[count]) {
          VOXPOOL_UNROLL
          for (int r = 0; r < H::stride; ++r) {
            const int32_t ih = gh * H::stride - p.h.pad + r;
            if (!p.h.has_input(ih)) continue;
            Pack<T, inputs> pack;
            VOXPOOL_UNROLL
            for (int i = 0; i < inputs; ++i) pack.at[i] = from_sum<T>(sums[r * inputs + i]);
            store<inputs>(volume + p.strides.element(id, ih, 0), pack);
          }
        });
  }

  // The row of outputs `a` from the group's own. Along w an input i of the vector is tap tw of the output j for which
  // i + padding = j * stride + tw * dilation.
  template <class AnySums, int padding>
  static VOXPOOL_DEVICE void add(AnySums& sums, const Row<padding>& row, int a) {
    VOXPOOL_UNROLL
    for (int th = 0; th < H::kernel; ++th) {
      const int r = Group<H>::input(a, th);
      if (r < 0) continue;
      VOXPOOL_UNROLL
      for (int j = -Row<padding>::before; j < outputs + Row<padding>::behind; ++j) {
        VOXPOOL_UNROLL
        for (int tw = 0; tw < W::kernel; ++tw) {
          const int i = j * W::stride + tw * W::dilation - padding;
          if (i < 0 || i >= inputs) continue;
          const int place = Row<padding>::before + j;
          add_gradient<Window>(sums, row.tap[place], to_sum(row.gradient[place]), th, tw, r * inputs + i);
        }
      }
    }
  }
};

}  // namespace voxpool::cuda
