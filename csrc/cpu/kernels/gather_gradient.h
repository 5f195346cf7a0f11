#pragma once

#include "core/axis.h"
#include "cpu/simd/gradient_lanes.h"

// One row of grad_input from the rows of grad_output whose windows reach it. Every element is written exactly once, and
// adds its gradients in ascending order of the outputs, starting from +0.
namespace voxpool::cpu::VOXPOOL_UNIT {
namespace {

// An output row (od, oh) seen from an input row: `code` is that of its tap (td, th, 0) on the input row.
template <class T>
struct GradientRow {
  const T* gradient;
  const uint8_t* taps;
  int64_t code;
};

template <class T>
struct GradientRows {
  const GradientRow<T>* rows;  // ascending
  int count;
};

// A window has at most 255 taps: no more output rows read an input row, no more windows of a row read a column.
constexpr int most_taps = 255;

struct GatherPass {
  Axis w;
  int64_t channels;      // lanes of one column: 1 in channels-first
  int64_t input_column;  // elements from one column of grad_input to the next
};

template <class T>
using GatherRow = void (*)(const GatherPass&, GradientRows<T>, T* grad_input);

// Gradients and taps of a vector of windows, from the middle of a row ...
template <class T>
struct InsideGradient {
  using Lane = typename GradientLanes<T>::Lane;
  VOXPOOL_INLINE Vector<Lane> gradient(const GradientRow<T>& row, int64_t at) const {
    return GradientLanes<T>::load(row.gradient + at);
  }
  VOXPOOL_INLINE TapBytes<Lane> taps(const GradientRow<T>& row, int64_t at) const {
    return load_tap_bytes<Lane>(row.taps + at);
  }
};

// ... or across its ends, where windows that do not exist have no tap.
template <class T>
struct AcrossGradientEnds {
  using Lane = typename GradientLanes<T>::Lane;
  int64_t length;

  VOXPOOL_INLINE int begin(int64_t at) const {
    return at >= 0 ? 0 : -at < lanes<Lane> ? static_cast<int>(-at) : lanes<Lane>;
  }
  VOXPOOL_INLINE int end(int64_t at) const {
    const int64_t left = length - at;
    return left < 0 ? 0 : left < lanes<Lane> ? static_cast<int>(left) : lanes<Lane>;
  }
  VOXPOOL_INLINE Vector<Lane> gradient(const GradientRow<T>& row, int64_t at) const {
    return GradientLanes<T>::load_range(row.gradient + at, begin(at), end(at));
  }
  VOXPOOL_INLINE TapBytes<Lane> taps(const GradientRow<T>& row, int64_t at) const {
    return load_tap_bytes<Lane>(row.taps + at, begin(at), end(at));
  }
};

// Channels-first. With u = w + pad_begin = m * stride + r, tap t of output o reads u when o * stride + t * dilation =
// u: the elements of phase r get gradients from output m - q for each tap with t * dilation = q * stride + r, and the
// outputs ascend when q descends. `sums[r]` are the elements m, m + 1, ... of phase r.
template <class T, int stride, int kernel, class Access>
VOXPOOL_INLINE void gather_phases(const GatherPass& pass, GradientRows<T> rows, const Access& access, int64_t m,
                                  Vector<typename GradientLanes<T>::Lane> (&sums)[stride]) {
  using Lane = typename GradientLanes<T>::Lane;
  for (int i = 0; i < rows.count; ++i) {
    const GradientRow<T>& row = rows.rows[i];
    if constexpr (kernel != 0) {
#pragma GCC unroll 4
      for (int q = (kernel - 1) / stride; q >= 0; --q) {
        const Vector<Lane> gradient = access.gradient(row, m - q);
        const TapBytes<Lane> taps = access.taps(row, m - q);
        for (int r = 0; r < stride && q * stride + r < kernel; ++r) {
          add_where<Lane>(sums[r], taps, row.code + q * stride + r, gradient);
        }
      }
    } else {
      for (int r = 0; r < stride; ++r) {
        for (int64_t t = pass.w.kernel - 1; t >= 0; --t) {
          const int64_t distance = t * pass.w.dilation;
          if (distance % stride != r) continue;
          const int64_t at = m - distance / stride;
          add_where<Lane>(sums[r], access.taps(row, at), row.code + t, access.gradient(row, at));
        }
      }
    }
  }
}

template <class T, int stride, int... k>
VOXPOOL_INLINE void store_woven(T* to, const Vector<typename GradientLanes<T>::Lane> (&sums)[stride],
                                std::integer_sequence<int, k...>) {
  using Lane = typename GradientLanes<T>::Lane;
  (GradientLanes<T>::store(to + k * lanes<Lane>, weave<Lane, k>(sums)), ...);
}

template <class T, int stride, int kernel>
void gather_row_first(const GatherPass& pass, GradientRows<T> rows, T* grad_input) {
  using Lane = typename GradientLanes<T>::Lane;
  constexpr int n = lanes<Lane>;
  const Axis& w = pass.w;
  const int64_t most_q = (kernel != 0 ? kernel - 1 : w.reach()) / stride;
  const auto phases = std::make_integer_sequence<int, stride>();

  for (int64_t m = w.pad_begin / stride; m * stride < w.pad_begin + w.in; m += n) {
    Vector<Lane> sums[stride] = {};
    if (m >= most_q && m + n <= w.out) {
      gather_phases<T, stride, kernel>(pass, rows, InsideGradient<T>{}, m, sums);
    } else {
      gather_phases<T, stride, kernel>(pass, rows, AcrossGradientEnds<T>{w.out}, m, sums);
    }
    const int64_t column = m * stride - w.pad_begin;
    if (column >= 0 && column + stride * n <= w.in) {
      store_woven<T>(grad_input + column, sums, phases);
      continue;
    }
    T woven[stride * n];
    store_woven<T>(woven, sums, phases);
    const int64_t begin = column < 0 ? 0 : column;
    const int64_t end = column + stride * n < w.in ? column + stride * n : w.in;
    std::memcpy(grad_input + begin, woven + (begin - column), (end - begin) * sizeof(T));
  }
}

// Any stride: one element at a time.
template <class T>
void gather_row_first_scalar(const GatherPass& pass, GradientRows<T> rows, T* grad_input) {
  for (int64_t column = 0; column < pass.w.in; ++column) {
    const Range windows = pass.w.windows(column);
    Sum<T> sum = 0;
    for (int i = 0; i < rows.count; ++i) {
      const GradientRow<T>& row = rows.rows[i];
      for (int64_t o = windows.begin; o < windows.end; ++o) {
        const int64_t tap = pass.w.tap_on(o, column);
        if (tap >= 0 && row.taps[o] == row.code + tap) sum += cpu::widen(row.gradient[o]);
      }
    }
    grad_input[column] = cpu::narrow<T>(sum);
  }
}

// A window that reads a column, by where its gradients begin in a row, and its tap on the column.
struct ColumnWindow {
  int64_t at;
  int64_t tap;
};

// Channels-last: the windows of a column are the same for all its channels.
template <class T>
void gather_row_last(const GatherPass& pass, GradientRows<T> rows, T* grad_input) {
  using Lane = typename GradientLanes<T>::Lane;
  constexpr int n = lanes<Lane>;
  const int64_t length = pass.w.out * pass.channels;
  ColumnWindow windows[most_taps];

  for (int64_t column = 0; column < pass.w.in; ++column) {
    const Range spanning = pass.w.windows(column);
    int count = 0;
    for (int64_t o = spanning.begin; o < spanning.end; ++o) {
      const int64_t tap = pass.w.tap_on(o, column);
      if (tap >= 0) windows[count++] = {o * pass.channels, tap};
    }
    const auto gather = [&](auto access, int64_t c) VOXPOOL_LAMBDA_INLINE {
      Vector<Lane> sum{};
      for (int i = 0; i < rows.count; ++i) {
        const GradientRow<T>& row = rows.rows[i];
        for (int j = 0; j < count; ++j) {
          const int64_t at = windows[j].at + c;
          add_where<Lane>(sum, access.taps(row, at), row.code + windows[j].tap, access.gradient(row, at));
        }
      }
      return sum;
    };

    T* to = grad_input + column * pass.input_column;
    const int64_t last = count > 0 ? windows[count - 1].at : 0;
    for (int64_t c = 0; c < pass.channels; c += n) {
      const Vector<Lane> sum =
          last + c + n <= length ? gather(InsideGradient<T>{}, c) : gather(AcrossGradientEnds<T>{length}, c);
      if (c + n <= pass.channels) {
        GradientLanes<T>::store(to + c, sum);
      } else {
        T part[n];
        GradientLanes<T>::store(part, sum);
        std::memcpy(to + c, part, (pass.channels - c) * sizeof(T));
      }
    }
  }
}

template <class T>
GatherRow<T> select_gather_row_first(const Axis& w) {
  const bool dense = w.dilation == 1;
  switch (w.stride) {
    case 1:
      if (dense && w.kernel == 3) return gather_row_first<T, 1, 3>;
      return gather_row_first<T, 1, 0>;
    case 2:
      if (dense && w.kernel == 2) return gather_row_first<T, 2, 2>;
      if (dense && w.kernel == 3) return gather_row_first<T, 2, 3>;
      return gather_row_first<T, 2, 0>;
    case 3:
      return gather_row_first<T, 3, 0>;
    case 4:
      return gather_row_first<T, 4, 0>;
    default:
      return gather_row_first_scalar<T>;
  }
}

}  // namespace
}  // namespace voxpool::cpu::VOXPOOL_UNIT
