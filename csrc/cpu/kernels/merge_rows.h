#pragma once

#include "cpu/simd/element_lanes.h"
#include "cpu/simd/partial.h"
#include "cpu/simd/stream.h"

// The maximum of several rows, element by element: the pass along h and the pass along d are the same, and do not care
// which memory format the rows come from.
namespace voxpool::cpu::VOXPOOL_UNIT {
namespace {

// A row between two passes: decoded lanes and, with taps, one code per lane.
template <class E>
struct ReducedRow {
  typename E::Lane* values;
  uint8_t* codes;
};

// One tap of a merge: a reduced row, and what its tap along this axis adds to the codes in it.
template <class E>
struct RowTap {
  const typename E::Lane* values;
  const uint8_t* codes;
  int64_t code_offset;
};

// Where a pass ends: a row for the next pass, with room for a last vector that reaches past its end ...
template <class E, Track track>
struct ToReducedRow {
  ReducedRow<E> row;

  // Whether a vector that reaches past the end of a row is better than one that overlaps the vector before it.
  VOXPOOL_INLINE bool takes_part() const { return true; }
  // The same, `lanes` further on.
  VOXPOOL_INLINE ToReducedRow after(int64_t lanes) const {
    return {{row.values + lanes, tracks_taps(track) ? row.codes + lanes : nullptr}};
  }
  VOXPOOL_INLINE void put(int64_t i, const Best<E, track>& best, int64_t) const {
    store(row.values + i, best.value);
    if constexpr (tracks_taps(track)) store_codes<typename E::Lane>(row.codes + i, best.code);
  }
};

// ... or the output itself.
template <class E, Track track>
struct ToOutput {
  typename E::Raw* values;
  uint8_t* codes;
  bool relu;
  Stores stores;  // of values

  // No line is to be streamed twice.
  VOXPOOL_INLINE bool takes_part() const { return stores == Stores::past_caches; }
  VOXPOOL_INLINE ToOutput after(int64_t lanes) const {
    return {values + lanes, tracks_taps(track) ? codes + lanes : nullptr, relu, stores};
  }
  VOXPOOL_INLINE void put(int64_t i, Best<E, track> best, int64_t length) const {
    using Lane = typename E::Lane;
    constexpr int n = lanes<Lane>;
    if (relu) best.rectify();
    store_first(values + i, E::encode(best.value), length - i, stores);
    if constexpr (tracks_taps(track)) {
      if (i + n <= length) {
        store_codes<Lane>(codes + i, best.code);
      } else {
        store_codes<Lane>(codes + i, best.code, LaneRange<n>(0, length - i));
      }
    }
  }
};

template <class E, Track track>
VOXPOOL_INLINE Best<E, track> first_of(const RowTap<E>& tap, int64_t i) {
  using Lane = typename E::Lane;
  if constexpr (tracks_taps(track)) {
    return {load(tap.values + i), load_codes<Lane>(tap.codes + i) + splat_code<Lane>(tap.code_offset)};
  } else {
    return {load(tap.values + i), Codes<Lane>{}};
  }
}

// What merges take: the taps of one row in ascending order; and of the rows below it, as many, each `tap_step` lanes
// further on, with results `output_step` lanes further on.
template <class E>
struct Merge {
  const RowTap<E>* taps;
  int count;
  int64_t length;  // lanes of a row
  int64_t rows = 1;
  int64_t tap_step = 0;
  int64_t output_step = 0;
};

// `fixed` is the number of taps where it is known to the compiler, else 0. The copies of the taps and the sink tell it
// that no store changes them.
template <class E, Track track, int fixed, class Sink>
void merge_rows_of(const Merge<E> given, const Sink sink) {
  constexpr int n = lanes<typename E::Lane>;
  RowTap<E> copies[fixed + (fixed == 0)];  // at least one
  for (int t = 0; t < fixed; ++t) copies[t] = given.taps[t];
  const RowTap<E>* taps = given.taps;
  if constexpr (fixed > 0) taps = copies;
  const int count = fixed == 0 ? given.count : fixed;
  for (int64_t row = 0; row < given.rows; ++row) {
    const int64_t from = row * given.tap_step;
    const Sink to = sink.after(row * given.output_step);
    for (int64_t i = 0; i < given.length; i += n) {
      Best<E, track> best = first_of<E, track>(taps[0], from + i);
#pragma GCC unroll 4
      for (int t = 1; t < count; ++t) {
        const Best<E, track> next = first_of<E, track>(taps[t], from + i);
        best.take(next.value, next.code);
      }
      to.put(i, best, given.length);
    }
  }
}

template <class E, Track track, class Sink>
void merge_rows(const Merge<E>& merge, const Sink& sink) {
  switch (merge.count) {
    case 1:
      return merge_rows_of<E, track, 1>(merge, sink);
    case 2:
      return merge_rows_of<E, track, 2>(merge, sink);
    case 3:
      return merge_rows_of<E, track, 3>(merge, sink);
    case 5:
      return merge_rows_of<E, track, 5>(merge, sink);
    default:
      return merge_rows_of<E, track, 0>(merge, sink);
  }
}

}  // namespace
}  // namespace voxpool::cpu::VOXPOOL_UNIT
