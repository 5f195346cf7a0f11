#pragma once

#include "cpu/kernels/gradient_rows.h"

// One row of grad_input, channels-last: the windows of a column are the same for all its channels.
namespace voxpool::cpu::VOXPOOL_UNIT {
namespace {

struct ColumnsLast {
  int64_t in;  // columns of a row of grad_input
  int64_t channels;
  int64_t input_column;  // elements from one column of grad_input to the next
  WindowTable windows;
};

// Several vectors of channels together: the additions to one of them wait for each other.
template <class T, int vectors>
VOXPOOL_INLINE void gather_channels(const GradientRows<T>& rows, int64_t from, const InputWindows& column,
                                    int64_t channels, int64_t c,
                                    Vector<typename GradientLanes<T>::Lane> (&sums)[vectors]) {
  using Lane = typename GradientLanes<T>::Lane;
  for (int i = 0; i < rows.count; ++i) {
    const GradientRow<T>& row = rows.rows[i];
    column.for_each([&](int64_t output, int64_t tap) VOXPOOL_LAMBDA_INLINE {
      const int64_t at = from + output * channels + c;
      const Codes<Lane> code = splat_code<Lane>(row.code + tap);
#pragma GCC unroll 4
      for (int k = 0; k < vectors; ++k) {
        const Mask<Lane> chosen = equal_code<Lane>(load_codes<Lane>(row.taps + at + k * lanes<Lane>), code);
        add_where<Lane>(sums[k], chosen, GradientLanes<T>::load(row.gradient + at + k * lanes<Lane>));
      }
    });
  }
}

// The last channels of a column, where whole vectors may reach past the end of the last row.
template <class T>
VOXPOOL_INLINE Vector<typename GradientLanes<T>::Lane> gather_last_channels(const GradientRows<T>& rows, int64_t from,
                                                                            const InputWindows& column,
                                                                            int64_t channels, int64_t c) {
  using Lane = typename GradientLanes<T>::Lane;
  const LaneRange<lanes<Lane>> left(0, channels - c);
  Vector<Lane> sum{};
  for (int i = 0; i < rows.count; ++i) {
    const GradientRow<T>& row = rows.rows[i];
    column.for_each([&](int64_t output, int64_t tap) VOXPOOL_LAMBDA_INLINE {
      const int64_t at = from + output * channels + c;
      const Mask<Lane> chosen =
          equal_code<Lane>(load_codes<Lane>(row.taps + at, left), splat_code<Lane>(row.code + tap));
      add_where<Lane>(sum, chosen, GradientLanes<T>::load_range(row.gradient + at, left));
    });
  }
  return sum;
}

template <class T>
void gather_row_last(const ColumnsLast& given, const GradientRows<T>& rows, int64_t from, Stores stores,
                     T* grad_input) {
  const ColumnsLast pass = given;  // a copy that no store changes
  using Lane = typename GradientLanes<T>::Lane;
  constexpr int n = lanes<Lane>;
  for (int64_t w = 0; w < pass.in; ++w) {
    const InputWindows column = pass.windows[w];
    T* to = grad_input + w * pass.input_column;
    int64_t c = 0;
    const auto gather = [&]<int vectors>(std::integral_constant<int, vectors>) VOXPOOL_LAMBDA_INLINE {
      for (; c + vectors * n <= pass.channels; c += vectors * n) {
        Vector<Lane> sums[vectors] = {};
        gather_channels<T, vectors>(rows, from, column, pass.channels, c, sums);
#pragma GCC unroll 4
        for (int k = 0; k < vectors; ++k) GradientLanes<T>::store_first(to + c + k * n, sums[k], n, stores);
      }
    };
    gather(std::integral_constant<int, 4>());
    gather(std::integral_constant<int, 2>());
    gather(std::integral_constant<int, 1>());
    if (c < pass.channels) {
      GradientLanes<T>::store_first(to + c, gather_last_channels<T>(rows, from, column, pass.channels, c),
                                    pass.channels - c, stores);
    }
  }
}

}  // namespace
}  // namespace voxpool::cpu::VOXPOOL_UNIT
