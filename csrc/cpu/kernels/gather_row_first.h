#pragma once

#include <utility>

#include "cpu/kernels/gradient_rows.h"

// One row of grad_input, channels-first. With u = w + pad_begin = m * stride + r, tap t of output o reads u when
// o * stride + t * dilation = u: the elements of phase r get gradients from output m - q for each tap with
// t * dilation = q * stride + r, and the outputs ascend when q descends.
namespace voxpool::cpu::VOXPOOL_UNIT {
namespace {

// Blocks of windows gathered together: the additions to one sum wait for each other, so several must be under way.
template <int stride>
constexpr int blocks_together = stride >= 4 ? 1 : 4 / stride;

// Windows that do not exist are read before the first and after the last window of a row: rows are staged with that
// much room on both sides, where no tap is stored.
struct StagedRow {
  int64_t before;  // windows
  int64_t length;

  StagedRow(const Axis& w, int64_t vector_lanes)
      : before(w.reach() / w.stride + 1), length(before + w.out + w.reach() / w.stride + 2 + 4 * vector_lanes) {}
};

template <class T>
using GatherRowFirst = void (*)(const Axis&, GradientRows<typename GradientLanes<T>::Lane>, T* grad_input);

template <class Lane, int stride, int kernel, int blocks>
VOXPOOL_INLINE void gather_phases(const Axis& w, GradientRows<Lane> rows, int64_t m,
                                  Vector<Lane> (&sums)[blocks * stride]) {
  constexpr int n = lanes<Lane>;
  const auto add = [&](const GradientRow<Lane>& row, int64_t q, int64_t tap, int r) VOXPOOL_LAMBDA_INLINE {
    const Codes<Lane> code = splat_code<Lane>(row.code + tap);
#pragma GCC unroll 4
    for (int b = 0; b < blocks; ++b) {
      const int64_t at = m - q + b * n;
      const Mask<Lane> chosen = equal_code<Lane>(load_codes<Lane>(row.taps + at), code);
      add_where<Lane>(sums[b * stride + r], chosen, load(row.gradient + at));
    }
  };
  for (int i = 0; i < rows.count; ++i) {
    const GradientRow<Lane>& row = rows.rows[i];
    if constexpr (kernel != 0) {
#pragma GCC unroll 4
      for (int q = (kernel - 1) / stride; q >= 0; --q) {
        for (int r = 0; r < stride && q * stride + r < kernel; ++r) add(row, q, q * stride + r, r);
      }
    } else {
      for (int64_t t = w.kernel - 1; t >= 0; --t) {
        const int64_t distance = t * w.dilation, q = distance / stride, r = distance % stride;
        if (r == 0) add(row, q, t, 0);
        if constexpr (stride > 1) {
          if (r == 1) add(row, q, t, 1);
        }
        if constexpr (stride > 2) {
          if (r == 2) add(row, q, t, 2);
        }
        if constexpr (stride > 3) {
          if (r == 3) add(row, q, t, 3);
        }
      }
    }
  }
}

// Stores phases woven into consecutive elements, those of them in [begin, end).
template <class T, int stride, int... k>
VOXPOOL_INLINE void store_woven(T* to, const Vector<typename GradientLanes<T>::Lane> (&phases)[stride], int64_t begin,
                                int64_t end, std::integer_sequence<int, k...>) {
  using Lane = typename GradientLanes<T>::Lane;
  constexpr int n = lanes<Lane>;
  if (begin <= 0 && end >= stride * n) {
    (GradientLanes<T>::store(to + k * n, weave<Lane, k>(phases)), ...);
  } else {
    const auto clamp = [](int64_t x) { return static_cast<int>(x < 0 ? 0 : x < n ? x : n); };
    (GradientLanes<T>::store_range(to + k * n, weave<Lane, k>(phases), clamp(begin - k * n), clamp(end - k * n)), ...);
  }
}

template <class T, int stride, int kernel, int blocks>
VOXPOOL_INLINE void gather_blocks(const Axis& w, GradientRows<typename GradientLanes<T>::Lane> rows, int64_t m,
                                  T* grad_input) {
  using Lane = typename GradientLanes<T>::Lane;
  constexpr int elements = stride * lanes<Lane>;  // of one block
  constexpr auto vectors = std::make_integer_sequence<int, stride>();
  Vector<Lane> sums[blocks * stride] = {};
  gather_phases<Lane, stride, kernel, blocks>(w, rows, m, sums);
#pragma GCC unroll 4
  for (int b = 0; b < blocks; ++b) {
    Vector<Lane> phases[stride];
    for (int r = 0; r < stride; ++r) phases[r] = sums[b * stride + r];
    const int64_t column = m * stride - w.pad_begin + b * elements;
    store_woven<T>(grad_input + column, phases, -column, w.in - column, vectors);
  }
}

template <class T, int stride, int kernel>
void gather_row_first(const Axis& w, GradientRows<typename GradientLanes<T>::Lane> rows, T* grad_input) {
  constexpr int n = lanes<typename GradientLanes<T>::Lane>;
  constexpr int together = blocks_together<stride>;
  const int64_t end = (w.pad_begin + w.in - 1) / stride + 1;
  int64_t m = w.pad_begin / stride;
  for (; m + (together - 1) * n < end; m += together * n) {
    gather_blocks<T, stride, kernel, together>(w, rows, m, grad_input);
  }
  for (; m < end; m += n) gather_blocks<T, stride, kernel, 1>(w, rows, m, grad_input);
}

// Any stride: one element at a time.
template <class T>
void gather_row_first_scalar(const Axis& w, GradientRows<typename GradientLanes<T>::Lane> rows, T* grad_input) {
  for (int64_t column = 0; column < w.in; ++column) {
    const Range windows = w.windows(column);
    Sum<T> sum = 0;
    for (int i = 0; i < rows.count; ++i) {
      const auto& row = rows.rows[i];
      for (int64_t o = windows.begin; o < windows.end; ++o) {
        const int64_t tap = w.tap_on(o, column);
        if (tap >= 0 && row.taps[o] == row.code + tap) sum += row.gradient[o];
      }
    }
    grad_input[column] = cpu::narrow<T>(sum);
  }
}

template <class T>
GatherRowFirst<T> select_gather_row_first(const Axis& w) {
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
