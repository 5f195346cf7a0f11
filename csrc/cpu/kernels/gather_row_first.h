#pragma once

#include <utility>

#include "cpu/kernels/gradient_rows.h"

// One row of grad_input, channels-first. Tap t of output o reads element w = o * stride - pad + t * dilation. Elements
// w = m * stride + r of phase r therefore get gradients from output m + q by the taps with
// t * dilation = r + pad - q * stride, and the outputs ascend with q.
namespace voxpool::cpu::VOXPOOL_UNIT {
namespace {

// What the taps along w add to a row, in ascending order of the outputs: tap t of window m + q lies on element r of
// block m.
struct PhaseTap {
  int64_t q;
  int64_t r;
  int64_t tap;
};

// For windows that the compiler does not know.
class PhaseTaps {
 public:
  static int64_t bytes(const Axis& w) { return Scratch::bytes_for<PhaseTap>(w.kernel); }

  PhaseTaps(const Axis& w, Scratch& scratch) : taps_(scratch.take<PhaseTap>(w.kernel)), count_(w.kernel) {
    // r + pad - t * dilation is a multiple of the stride: q ascends when t descends.
    for (int64_t i = 0; i < count_; ++i) {
      const int64_t t = count_ - 1 - i, beyond = w.pad_begin - t * w.dilation, q = -floor_div(-beyond, w.stride);
      taps_[i] = {q, q * w.stride - beyond, t};
    }
  }

  const PhaseTap* begin() const { return taps_; }
  const PhaseTap* end() const { return taps_ + count_; }

 private:
  PhaseTap* taps_;
  int64_t count_;
};

struct ColumnsFirst {
  Axis w;
  PhaseTaps taps;
};

template <class T>
using GatherRowsFirst = void (*)(const ColumnsFirst&, const RowBlock<T>&, T* grad_input);

// The taps of a vector of windows of a row, first window at `at`; where some may not exist, only of those that do.
template <class T, bool all_exist>
VOXPOOL_INLINE Codes<typename GradientLanes<T>::Lane> load_taps(
    const uint8_t* from, const LaneRange<lanes<typename GradientLanes<T>::Lane>>& exist) {
  using Lane = typename GradientLanes<T>::Lane;
  if constexpr (all_exist) return load_codes<Lane>(from);
  return load_codes<Lane>(from, exist);
}

template <class T, bool all_exist>
VOXPOOL_INLINE Vector<typename GradientLanes<T>::Lane> load_gradient(
    const T* from, const LaneRange<lanes<typename GradientLanes<T>::Lane>>& exist) {
  if constexpr (all_exist) return GradientLanes<T>::load(from);
  return GradientLanes<T>::load_range(from, exist);
}

// A window known to the compiler, of dilation 1: one vector of windows at a time, as other rows are under way.
template <int stride_, int kernel_, int pad_>
struct FixedWindow {
  static constexpr int stride = stride_, kernel = kernel_, pad = pad_, blocks = 1;
  static constexpr int first_q = static_cast<int>(-floor_div(kernel - 1 - pad, stride));
  static constexpr int last_q = (stride - 1 + pad) / stride;
  static constexpr bool usual = stride == 2 && ((kernel == 2 && pad == 0) || (kernel == 3 && pad == 1));
};

template <class T, class W, bool all_exist>
class FixedGather {
  using Lane = typename GradientLanes<T>::Lane;
  static constexpr int n = lanes<Lane>, shifts = W::last_q - W::first_q + 1;

 public:
  VOXPOOL_INLINE FixedGather(const ColumnsFirst& columns, int64_t m) {
    for (int i = 0; i < shifts; ++i) {
      const int64_t at = m + W::first_q + i;
      if constexpr (!all_exist) exist_[i] = LaneRange<n>(-at, columns.w.out - at);
    }
  }

  VOXPOOL_INLINE void add(const GradientRow<T>& row, int64_t at, Vector<Lane> (&sums)[W::stride]) const {
#pragma GCC unroll 4
    for (int q = W::first_q; q <= W::last_q; ++q) {
      const LaneRange<n>& exist = exist_[q - W::first_q];
      const Codes<Lane> taps = load_taps<T, all_exist>(row.taps + at + q, exist) - splat_code<Lane>(row.code);
      Vector<Lane> gradient = load_gradient<T, all_exist>(row.gradient + at + q, exist);
      hold(gradient);
#pragma GCC unroll 4
      for (int r = 0; r < W::stride; ++r) {
        const int tap = r + W::pad - q * W::stride;
        if (tap < 0 || tap >= W::kernel) continue;
        add_where<Lane>(sums[r], equal_code<Lane>(taps, splat_code<Lane>(tap)), gradient);
      }
    }
  }

 private:
  LaneRange<n> exist_[shifts];
};

// Any window. The additions to one sum wait for each other, so blocks of windows are under way together.
template <int stride_>
struct AnyWindow {
  static constexpr int stride = stride_, kernel = 0, blocks = stride >= 4 ? 1 : 4 / stride;
  static constexpr bool usual = false;
};

template <class T, class W, bool all_exist>
class AnyGather {
  using Lane = typename GradientLanes<T>::Lane;
  static constexpr int n = lanes<Lane>, blocks = W::blocks;

 public:
  VOXPOOL_INLINE AnyGather(const ColumnsFirst& columns, int64_t m) : columns_(columns), m_(m) {}

  VOXPOOL_INLINE void add(const GradientRow<T>& row, int64_t at, Vector<Lane> (&sums)[blocks * W::stride]) const {
    for (const PhaseTap& tap : columns_.taps) {
      const Codes<Lane> code = splat_code<Lane>(row.code + tap.tap);
      const auto add = [&](int phase) VOXPOOL_LAMBDA_INLINE {
#pragma GCC unroll 4
        for (int b = 0; b < blocks; ++b) {
          const int64_t q = tap.q + b * n;
          LaneRange<n> exist;
          if constexpr (!all_exist) exist = LaneRange<n>(-m_ - q, columns_.w.out - m_ - q);
          const Codes<Lane> taps = load_taps<T, all_exist>(row.taps + at + q, exist);
          add_where<Lane>(sums[b * W::stride + phase], equal_code<Lane>(taps, code),
                          load_gradient<T, all_exist>(row.gradient + at + q, exist));
        }
      };
      if (tap.r == 0) add(0);
      if constexpr (W::stride > 1) {
        if (tap.r == 1) add(1);
      }
      if constexpr (W::stride > 2) {
        if (tap.r == 2) add(2);
      }
      if constexpr (W::stride > 3) {
        if (tap.r == 3) add(3);
      }
    }
  }

 private:
  const ColumnsFirst& columns_;
  const int64_t m_;
};

// Stores phases woven into consecutive elements, the first `count` of them.
template <class T, int stride, int... k>
VOXPOOL_INLINE void store_woven(T* to, const Vector<typename GradientLanes<T>::Lane> (&phases)[stride], int64_t count,
                                Stores stores, std::integer_sequence<int, k...>) {
  using Lane = typename GradientLanes<T>::Lane;
  constexpr int n = lanes<Lane>;
  if (count >= stride * n) {
    (GradientLanes<T>::store_first(to + k * n, weave<Lane, k>(phases), n, stores), ...);
  } else {
    const auto put = [&](T* at, const Vector<Lane>& v, int64_t left) VOXPOOL_LAMBDA_INLINE {
      if (left > 0) GradientLanes<T>::store_first(at, v, left, stores);
    };
    (put(to + k * n, weave<Lane, k>(phases), count - k * n), ...);
  }
}

// The elements of the blocks from m on.
template <class T, class W, bool all_exist>
VOXPOOL_INLINE void gather_blocks(const ColumnsFirst& columns, const GradientRow<T>* rows, int count, int64_t from,
                                  int64_t m, Stores stores, T* grad_input) {
  using Lane = typename GradientLanes<T>::Lane;
  using Gather = std::conditional_t<W::kernel == 0, AnyGather<T, W, all_exist>, FixedGather<T, W, all_exist>>;
  constexpr int stride = W::stride, blocks = W::blocks, n = lanes<Lane>;
  const Gather gather(columns, m);
  Vector<Lane> sums[blocks * stride] = {};
#pragma GCC unroll 4
  for (int i = 0; i < count; ++i) gather.add(rows[i], from + m, sums);
#pragma GCC unroll 4
  for (int b = 0; b < blocks; ++b) {
    Vector<Lane> phases[stride];
    for (int r = 0; r < stride; ++r) phases[r] = sums[b * stride + r];
    const int64_t column = (m + b * n) * stride;
    store_woven<T>(grad_input + column, phases, columns.w.in - column, stores,
                   std::make_integer_sequence<int, stride>());
  }
}

// `fixed` is the number of output rows where it is known to the compiler, else 0.
template <class T, class W, int fixed>
VOXPOOL_INLINE void gather_row_of(const ColumnsFirst& columns, const GradientRows<T>& given, int64_t from,
                                  Stores stores, T* grad_input) {
  const Axis& w = columns.w;
  constexpr int together = W::blocks * lanes<typename GradientLanes<T>::Lane>;
  const int64_t before = floor_div(w.reach() - w.pad_begin, W::stride);
  const int64_t after = (W::stride - 1 + w.pad_begin) / W::stride, end = ceil_div(w.in, W::stride);
  GradientRow<T> copies[fixed + (fixed == 0)];  // at least one
  for (int i = 0; i < fixed; ++i) copies[i] = given.rows[i];
  const GradientRow<T>* rows = given.rows;
  if constexpr (fixed > 0) rows = copies;
  const int count = fixed == 0 ? given.count : fixed;
  for (int64_t m = 0; m < end; m += together) {
    if (m >= before && m + together - 1 + after < w.out) {
      gather_blocks<T, W, true>(columns, rows, count, from, m, stores, grad_input);
    } else {
      gather_blocks<T, W, false>(columns, rows, count, from, m, stores, grad_input);
    }
  }
}

template <class T, class W>
void gather_rows_first(const ColumnsFirst& given, const RowBlock<T>& block, T* grad_input) {
  const ColumnsFirst columns = given;  // copies that no store changes
  const Stores stores = block.stores;
  block.for_each([&](const GradientRows<T>& rows, int64_t from, int64_t to) VOXPOOL_LAMBDA_INLINE {
    if constexpr (W::usual) {
      if (rows.count == 1) return gather_row_of<T, W, 1>(columns, rows, from, stores, grad_input + to);
    }
    if constexpr (W::usual && W::kernel > W::stride) {
      if (rows.count == 2) return gather_row_of<T, W, 2>(columns, rows, from, stores, grad_input + to);
      if (rows.count == 4) return gather_row_of<T, W, 4>(columns, rows, from, stores, grad_input + to);
    }
    gather_row_of<T, W, 0>(columns, rows, from, stores, grad_input + to);
  });
}

// Any stride: one element at a time.
template <class T>
void gather_rows_first_scalar(const ColumnsFirst& columns, const RowBlock<T>& block, T* grad_input) {
  const Axis& w = columns.w;
  block.for_each([&](const GradientRows<T>& rows, int64_t from, int64_t to) {
    for (int64_t column = 0; column < w.in; ++column) {
      const Range windows = w.windows(column);
      Sum<T> sum = 0;
      for (int i = 0; i < rows.count; ++i) {
        const auto& row = rows.rows[i];
        for (int64_t o = windows.begin; o < windows.end; ++o) {
          const int64_t tap = w.tap_on(o, column);
          if (tap >= 0 && row.taps[from + o] == row.code + tap) sum += voxpool::widen(row.gradient[from + o]);
        }
      }
      grad_input[to + column] = voxpool::narrow<T>(sum);
    }
  });
}

template <class T>
GatherRowsFirst<T> select_gather_rows_first(const Axis& w) {
  const auto is = [&](int64_t stride, int64_t kernel, int64_t pad) {
    return w.dilation == 1 && w.stride == stride && w.kernel == kernel && w.pad_begin == pad;
  };
  if constexpr (knows_windows) {
    if (is(1, 3, 1)) return gather_rows_first<T, FixedWindow<1, 3, 1>>;
    if (is(2, 2, 0)) return gather_rows_first<T, FixedWindow<2, 2, 0>>;
    if (is(2, 3, 0)) return gather_rows_first<T, FixedWindow<2, 3, 0>>;
    if (is(2, 3, 1)) return gather_rows_first<T, FixedWindow<2, 3, 1>>;
    if (is(2, 5, 2)) return gather_rows_first<T, FixedWindow<2, 5, 2>>;
  }
  switch (w.stride) {
    case 1:
      return gather_rows_first<T, AnyWindow<1>>;
    case 2:
      return gather_rows_first<T, AnyWindow<2>>;
    case 3:
      return gather_rows_first<T, AnyWindow<3>>;
    case 4:
      return gather_rows_first<T, AnyWindow<4>>;
    default:
      return gather_rows_first_scalar<T>;
  }
}

}  // namespace
}  // namespace voxpool::cpu::VOXPOOL_UNIT
