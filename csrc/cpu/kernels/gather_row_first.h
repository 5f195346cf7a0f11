#pragma once

#include <utility>

#include "cpu/kernels/gradient_rows.h"

// One row of grad_input, channels-first. Tap t of output o reads element w = o * stride - pad + t * dilation. Elements
// w = m * stride + r of phase r therefore get gradients from output m + q by the taps with
// t * dilation = r + pad - q * stride, and the outputs ascend with q.
namespace voxpool::cpu::VOXPOOL_UNIT {
namespace {

// Blocks of windows gathered together: the additions to one sum wait for each other, so several must be under way.
template <int stride>
constexpr int blocks_together = stride >= 4 ? 1 : 4 / stride;

template <class T>
using GatherRowFirst = void (*)(const Axis&, GradientRows<T>, T* grad_input);

// The taps of a vector of windows of a row, first window at `at`; where some may not exist, only of those that do.
template <class T, bool all_exist>
VOXPOOL_INLINE Codes<typename GradientLanes<T>::Lane> load_taps(
    const GradientRow<T>& row, int64_t at, const LaneRange<lanes<typename GradientLanes<T>::Lane>>& exist) {
  using Lane = typename GradientLanes<T>::Lane;
  if constexpr (all_exist) return load_codes<Lane>(row.taps + at);
  return load_codes<Lane>(row.taps + at, exist);
}

template <class T, bool all_exist>
VOXPOOL_INLINE Vector<typename GradientLanes<T>::Lane> load_gradient(
    const GradientRow<T>& row, int64_t at, const LaneRange<lanes<typename GradientLanes<T>::Lane>>& exist) {
  if constexpr (all_exist) return GradientLanes<T>::load(row.gradient + at);
  return GradientLanes<T>::load_range(row.gradient + at, exist);
}

// A window known to the compiler, of dilation 1.
template <int stride_, int kernel_, int pad_>
struct FixedWindow {
  static constexpr int stride = stride_, kernel = kernel_, pad = pad_;
  static constexpr int first_q = static_cast<int>(-floor_div(kernel - 1 - pad, stride));
  static constexpr int last_q = (stride - 1 + pad) / stride;
};

// Gradients are loaded once, and shifted by one window where the outputs before or after are needed.
template <class T, class W, int blocks, bool all_exist>
VOXPOOL_INLINE void gather_phases(const Axis& w, GradientRows<T> rows, int64_t m,
                                  Vector<typename GradientLanes<T>::Lane> (&sums)[blocks * W::stride]) {
  using Lane = typename GradientLanes<T>::Lane;
  constexpr int n = lanes<Lane>, shifts = W::last_q - W::first_q + 1;
  static_assert(W::first_q >= -1 && W::last_q <= 1);
  LaneRange<n> exist[shifts * blocks];
  if constexpr (!all_exist) {
    for (int i = 0; i < shifts * blocks; ++i) {
      const int64_t at = m + W::first_q + i / blocks + i % blocks * n;
      exist[i] = LaneRange<n>(-at, w.out - at);
    }
  }
  const int64_t end = m + blocks * n;
  const bool has_before = all_exist || m > 0, has_after = all_exist || end < w.out;

  for (int i = 0; i < rows.count; ++i) {
    const GradientRow<T>& row = rows.rows[i];
    Vector<Lane> gradient[blocks + 2];  // with a block before and one after, of which one window is used
    if constexpr (W::first_q < 0) {
      gradient[0] = splat<Lane>(has_before ? voxpool::widen(row.gradient[m - 1]) : Lane(0));
    }
    if constexpr (W::last_q > 0) {
      gradient[blocks + 1] = splat<Lane>(has_after ? voxpool::widen(row.gradient[end]) : Lane(0));
    }
#pragma GCC unroll 4
    for (int b = 0; b < blocks; ++b) {
      gradient[b + 1] = load_gradient<T, all_exist>(row, m + b * n, exist[b - W::first_q * blocks]);
    }
    const auto add = [&]<int q>(std::integral_constant<int, q>) VOXPOOL_LAMBDA_INLINE {
      if constexpr (q < W::first_q || q > W::last_q) return;
#pragma GCC unroll 4
      for (int b = 0; b < blocks; ++b) {
        const Vector<Lane> shifted = q == 0  ? gradient[b + 1]
                                     : q < 0 ? across_two<Lane, n - 1>(gradient[b], gradient[b + 1])
                                             : across_two<Lane, 1>(gradient[b + 1], gradient[b + 2]);
        const Codes<Lane> taps = load_taps<T, all_exist>(row, m + q + b * n, exist[(q - W::first_q) * blocks + b]);
#pragma GCC unroll 4
        for (int r = 0; r < W::stride; ++r) {
          const int tap = r + W::pad - q * W::stride;
          if (tap < 0 || tap >= W::kernel) continue;
          const Codes<Lane> code = splat_code<Lane>(row.code + tap);
          add_where<Lane>(sums[b * W::stride + r], equal_code<Lane>(taps, code), shifted);
        }
      }
    };
    add(std::integral_constant<int, -1>());
    add(std::integral_constant<int, 0>());
    add(std::integral_constant<int, 1>());
  }
}

// Any window: q ascends when t descends.
template <int stride_>
struct AnyWindow {
  static constexpr int stride = stride_, kernel = 0;
};

template <class T, int stride, int blocks, bool all_exist>
VOXPOOL_INLINE void gather_any_phases(const Axis& w, GradientRows<T> rows, int64_t m,
                                      Vector<typename GradientLanes<T>::Lane> (&sums)[blocks * stride]) {
  using Lane = typename GradientLanes<T>::Lane;
  constexpr int n = lanes<Lane>;
  for (int i = 0; i < rows.count; ++i) {
    const GradientRow<T>& row = rows.rows[i];
    for (int64_t t = w.kernel - 1; t >= 0; --t) {
      // r + pad - t * dilation is a multiple of the stride.
      const int64_t beyond = w.pad_begin - t * w.dilation, q = -floor_div(-beyond, stride), r = q * stride - beyond;
      const Codes<Lane> code = splat_code<Lane>(row.code + t);
      const auto add = [&](int phase) VOXPOOL_LAMBDA_INLINE {
#pragma GCC unroll 4
        for (int b = 0; b < blocks; ++b) {
          const int64_t at = m + q + b * n;
          const LaneRange<n> exist(-at, w.out - at);
          const Codes<Lane> taps = load_taps<T, all_exist>(row, at, exist);
          add_where<Lane>(sums[b * stride + phase], equal_code<Lane>(taps, code),
                          load_gradient<T, all_exist>(row, at, exist));
        }
      };
      if (r == 0) add(0);
      if constexpr (stride > 1) {
        if (r == 1) add(1);
      }
      if constexpr (stride > 2) {
        if (r == 2) add(2);
      }
      if constexpr (stride > 3) {
        if (r == 3) add(3);
      }
    }
  }
}

// Stores phases woven into consecutive elements, the first `count` of them.
template <class T, int stride, int... k>
VOXPOOL_INLINE void store_woven(T* to, const Vector<typename GradientLanes<T>::Lane> (&phases)[stride], int64_t count,
                                std::integer_sequence<int, k...>) {
  using Lane = typename GradientLanes<T>::Lane;
  constexpr int n = lanes<Lane>;
  if (count >= stride * n) {
    (GradientLanes<T>::store(to + k * n, weave<Lane, k>(phases)), ...);
  } else {
    (GradientLanes<T>::store_range(to + k * n, weave<Lane, k>(phases), LaneRange<n>(0, count - k * n)), ...);
  }
}

template <class T, class W, int blocks>
VOXPOOL_INLINE void gather_blocks(const Axis& w, GradientRows<T> rows, int64_t m, T* grad_input) {
  using Lane = typename GradientLanes<T>::Lane;
  constexpr int stride = W::stride, n = lanes<Lane>;
  Vector<Lane> sums[blocks * stride] = {};
  const auto gather = [&]<bool all_exist>(std::bool_constant<all_exist>) VOXPOOL_LAMBDA_INLINE {
    if constexpr (W::kernel != 0) {
      gather_phases<T, W, blocks, all_exist>(w, rows, m, sums);
    } else {
      gather_any_phases<T, stride, blocks, all_exist>(w, rows, m, sums);
    }
  };
  const int64_t first = m - floor_div(w.reach() - w.pad_begin, stride);
  const int64_t last = m + blocks * n - 1 + (stride - 1 + w.pad_begin) / stride;
  if (first >= 0 && last < w.out) {
    gather(std::true_type());
  } else {
    gather(std::false_type());
  }
#pragma GCC unroll 4
  for (int b = 0; b < blocks; ++b) {
    Vector<Lane> phases[stride];
    for (int r = 0; r < stride; ++r) phases[r] = sums[b * stride + r];
    const int64_t column = (m + b * n) * stride;
    store_woven<T>(grad_input + column, phases, w.in - column, std::make_integer_sequence<int, stride>());
  }
}

template <class T, class W>
void gather_row_first(const Axis& given, GradientRows<T> rows, T* grad_input) {
  const Axis w = given;  // a copy that no store changes
  constexpr int n = lanes<typename GradientLanes<T>::Lane>;
  constexpr int together = blocks_together<W::stride>;
  const int64_t end = ceil_div(w.in, W::stride);
  int64_t m = 0;
  for (; m + (together - 1) * n < end; m += together * n) gather_blocks<T, W, together>(w, rows, m, grad_input);
  for (; m < end; m += n) gather_blocks<T, W, 1>(w, rows, m, grad_input);
}

// Any stride: one element at a time.
template <class T>
void gather_row_first_scalar(const Axis& w, GradientRows<T> rows, T* grad_input) {
  for (int64_t column = 0; column < w.in; ++column) {
    const Range windows = w.windows(column);
    Sum<T> sum = 0;
    for (int i = 0; i < rows.count; ++i) {
      const auto& row = rows.rows[i];
      for (int64_t o = windows.begin; o < windows.end; ++o) {
        const int64_t tap = w.tap_on(o, column);
        if (tap >= 0 && row.taps[o] == row.code + tap) sum += voxpool::widen(row.gradient[o]);
      }
    }
    grad_input[column] = voxpool::narrow<T>(sum);
  }
}

template <class T>
GatherRowFirst<T> select_gather_row_first(const Axis& w) {
  const auto is = [&](int64_t kernel, int64_t pad) {
    return w.dilation == 1 && w.kernel == kernel && w.pad_begin == pad;
  };
  switch (w.stride) {
    case 1:
      if (is(3, 1)) return gather_row_first<T, FixedWindow<1, 3, 1>>;
      return gather_row_first<T, AnyWindow<1>>;
    case 2:
      if (is(2, 0)) return gather_row_first<T, FixedWindow<2, 2, 0>>;
      if (is(3, 0)) return gather_row_first<T, FixedWindow<2, 3, 0>>;
      if (is(3, 1)) return gather_row_first<T, FixedWindow<2, 3, 1>>;
      if (is(5, 2)) return gather_row_first<T, FixedWindow<2, 5, 2>>;
      return gather_row_first<T, AnyWindow<2>>;
    case 3:
      return gather_row_first<T, AnyWindow<3>>;
    case 4:
      return gather_row_first<T, AnyWindow<4>>;
    default:
      return gather_row_first_scalar<T>;
  }
}

}  // namespace
}  // namespace voxpool::cpu::VOXPOOL_UNIT
