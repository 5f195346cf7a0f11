#pragma once

#include <algorithm>

#include "cuda/kernels/items.h"
#include "cuda/kernels/maxima.h"

// Maxima along w for a thread that loads 16 bytes of each row.
namespace voxpool::cuda {

// What a thread needs of a row: its vector of 16 bytes, `padding` elements before it, and as many behind it as the last
// of its windows reads.
template <class T, class W, int padding>
struct ColumnRow {
  static constexpr int inputs = RowVector<T, W>::inputs, outputs = RowVector<T, W>::outputs;
  static constexpr int behind = std::max(0, (outputs - 1) * W::stride + W::reach - padding - (inputs - 1));
  static constexpr int vectors = 1 + (behind > 1 ? (behind + inputs - 1) / inputs : 0);

  Pack<T, inputs> own[vectors];
  Pack<T, 2> beside;  // one element before the vector, one behind it

  // Of the row at element `row` of the volume, from column `begin` on; lowest where the row does not go, or all of it
  // unless `inside`.
  VOXPOOL_DEVICE void read(const T* volume, uint32_t row, int32_t begin, const Extent& w, bool inside) {
    VOXPOOL_UNROLL
    for (int i = 0; i < vectors; ++i) {
      own[i] = load_if<inputs>(inside && begin + i * inputs < w.in, volume, row + begin + i * inputs, lowest<T>());
    }
    const bool before_inside = padding > 0 && inside && begin > 0;
    const bool behind_inside = behind == 1 && inside && begin + inputs < w.in;
    beside.at[0] = load_if<1>(before_inside, volume, row + begin - 1, lowest<T>()).at[0];
    beside.at[1] = load_if<1>(behind_inside, volume, row + begin + inputs, lowest<T>()).at[0];
  }

  // Tap tw of output i.
  VOXPOOL_DEVICE T tap(int i, int tw) const {
    const int place = i * W::stride + tw * W::dilation - padding;
    if (place < 0) return beside.at[0];
    if (place >= vectors * inputs) return beside.at[1];
    return own[place / inputs].at[place % inputs];
  }
};

// The maxima of a thread's outputs, taps met in ascending order.
template <class T, Keep keep, class W, int padding>
struct ColumnMaxima {
  using Row = ColumnRow<T, W, padding>;
  using Outputs = Maxima<T, keep, Row::outputs>;

  Outputs maxima;

  template <class FirstCode>
  static VOXPOOL_DEVICE ColumnMaxima none(FirstCode&& first_code) {
    return {Outputs::none(first_code)};
  }
  // `code` is that of the row's first tap, `step` how much one tap raises it.
  VOXPOOL_DEVICE void take(const Row& row, uint32_t code, uint32_t step) {
    VOXPOOL_UNROLL
    for (int i = 0; i < Row::outputs; ++i) {
      VOXPOOL_UNROLL
      for (int tw = 0; tw < W::kernel; ++tw) {
        maxima.at[i].take(Maximum<T, keep>::Element::load(row.tap(i, tw)), code + tw * step);
      }
    }
  }
  VOXPOOL_DEVICE void take(const ColumnMaxima& later, uint32_t offset) { maxima.take(later.maxima, offset); }
  VOXPOOL_DEVICE Outputs outputs() const { return maxima; }
};

// Values of 16-bit floats may be compared in any order: whole rows with each other, two columns in an instruction, and
// the columns of each window at the end.
template <class T, class W, int padding>
requires is_half<T>
struct ColumnMaxima<T, Keep::values, W, padding> {
  using Row = ColumnRow<T, W, padding>;
  using Outputs = Maxima<T, Keep::values, Row::outputs>;

  PackedMaxima<T, Row::inputs> own[Row::vectors];
  PackedMaxima<T, 2> beside;

  template <class FirstCode>
  static VOXPOOL_DEVICE ColumnMaxima none(FirstCode&& first_code) {
    ColumnMaxima nothing;
    VOXPOOL_UNROLL
    for (int i = 0; i < Row::vectors; ++i) nothing.own[i] = PackedMaxima<T, Row::inputs>::none(first_code);
    nothing.beside = PackedMaxima<T, 2>::none(first_code);
    return nothing;
  }
  VOXPOOL_DEVICE void take(const Row& row, uint32_t, uint32_t) {
    VOXPOOL_UNROLL
    for (int i = 0; i < Row::vectors; ++i) own[i].take(row.own[i], 0);
    beside.take(row.beside, 0);
  }
  VOXPOOL_DEVICE void take(const ColumnMaxima& later, uint32_t) {
    VOXPOOL_UNROLL
    for (int i = 0; i < Row::vectors; ++i) own[i].take(later.own[i], 0);
    beside.take(later.beside, 0);
  }
  VOXPOOL_DEVICE Outputs outputs() const {
    Row row;
    VOXPOOL_UNROLL
    for (int i = 0; i < Row::vectors; ++i) row.own[i] = own[i].pack();
    row.beside = beside.pack();
    Outputs maxima = Outputs::none([](int) { return 0; });
    VOXPOOL_UNROLL
    for (int i = 0; i < Row::outputs; ++i) {
      VOXPOOL_UNROLL
      for (int tw = 0; tw < W::kernel; ++tw) {
        maxima.at[i].take(Maximum<T, Keep::values>::Element::load(row.tap(i, tw)), 0);
      }
    }
    return maxima;
  }
};

}  // namespace voxpool::cuda
