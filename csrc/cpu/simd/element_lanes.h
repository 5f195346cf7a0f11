#pragma once

#include "core/element.h"
#include "core/tap_code.h"
#include "cpu/simd/float_maximum.h"
#include "cpu/simd/mask.h"
#include "cpu/simd/tap_lanes.h"
#include "cpu/simd/vector.h"

// What the maximum means for vectors of each element type.
namespace voxpool::cpu::VOXPOOL_UNIT {
namespace {

// Raw: how elements lie in memory. Lane: what is compared, and kept between the passes of a kernel.
template <class T>
struct ElementLanes {
  using Element = T;
  using Raw = T;
  using Lane = T;
  static constexpr Raw raw_lowest = lowest<T>();
  static constexpr Lane lane_lowest = lowest<T>();
  static constexpr Lane lane_zero = 0;

  VOXPOOL_INLINE static Element element(Raw x) { return x; }
  VOXPOOL_INLINE static Vector<Lane> decode(Vector<Raw> x) { return x; }
  VOXPOOL_INLINE static Vector<Raw> encode(Vector<Lane> x) { return x; }

  // Where a later tap x replaces the maximum so far: strictly greater, or NaN.
  VOXPOOL_INLINE static Mask<Lane> wins(Vector<Lane> x, Vector<Lane> best) {
    if constexpr (std::is_floating_point_v<T>) {
      return greater_or_nan<Lane>(x, best);
    } else {
      return greater<Lane>(x, best);
    }
  }

  // The same where x may be an earlier tap: then equal values go to the smaller code, two NaNs to the larger.
  VOXPOOL_INLINE static Mask<Lane> wins(Vector<Lane> x, Vector<Lane> best, Codes<Lane> x_code, Codes<Lane> code) {
    const Mask<Lane> number = greater<Lane>(x, best) | (equal<Lane>(x, best) & less_code<Lane>(x_code, code));
    if constexpr (std::is_floating_point_v<T>) {
      return number | (is_nan<Lane>(x) & (equal<Lane>(best, best) | less_code<Lane>(code, x_code)));
    } else {
      return number;
    }
  }

  VOXPOOL_INLINE static Vector<Lane> maximum(Vector<Lane> x, Vector<Lane> best) {
    if constexpr (std::is_floating_point_v<T>) {
      return maximum_lanes(x, best);
    } else {
      return x > best ? x : best;
    }
  }
};

// 16-bit floats are mapped to int16 so that integer order is the order of the numbers: negative ones get their
// magnitude inverted, then everything moves down until -infinity is the lowest int16, which wraps the NaNs of both
// signs around to the top. The zeros become neighbours: -0, +0.
template <int mantissa>
struct ElementLanes<Half<mantissa>> {
  using Element = Half<mantissa>;
  using Raw = int16_t;
  using Lane = int16_t;
  static constexpr int16_t shift = 0x7fff - Element::infinity;
  static constexpr int16_t positive_infinity = Element::infinity - shift;
  static constexpr int16_t negative_zero = -1 - shift;
  static constexpr Raw raw_lowest = static_cast<int16_t>(0x8000 | Element::infinity);
  static constexpr Lane lane_lowest = INT16_MIN;
  static constexpr Lane lane_zero = negative_zero + 1;

  VOXPOOL_INLINE static Vector<int16_t> invert_negative(Vector<int16_t> x) { return x ^ ((x >> 15) & 0x7fff); }
  VOXPOOL_INLINE static Vector<int16_t> add(Vector<int16_t> x, int16_t y) {
    return (Vector<int16_t>)((Vector<uint16_t>)x + static_cast<uint16_t>(y));  // unsigned: wraps
  }
  VOXPOOL_INLINE static Element element(Raw x) { return {static_cast<uint16_t>(x)}; }
  VOXPOOL_INLINE static Vector<Lane> decode(Vector<Raw> x) { return add(invert_negative(x), -shift); }
  VOXPOOL_INLINE static Vector<Raw> encode(Vector<Lane> x) { return invert_negative(add(x, shift)); }

  // Raises -0 to +0, so that neither is greater: a mask is -1.
  VOXPOOL_INLINE static Vector<Lane> one_zero(Vector<Lane> x) { return x - (x == splat(negative_zero)); }
  VOXPOOL_INLINE static Mask<Lane> is_nan(Vector<Lane> x) { return greater<Lane>(x, splat(positive_infinity)); }

  // One comparison: NaN is above a bound that is lowered to infinity, nothing else is.
  VOXPOOL_INLINE static Mask<Lane> wins(Vector<Lane> x, Vector<Lane> best) {
    const Vector<Lane> bound = one_zero(best), infinity = splat(positive_infinity);
    return greater<Lane>(x, bound < infinity ? bound : infinity);
  }

  VOXPOOL_INLINE static Mask<Lane> wins(Vector<Lane> x, Vector<Lane> best, Codes<Lane> x_code, Codes<Lane> code) {
    const Vector<Lane> number = one_zero(x), bound = one_zero(best);
    const Mask<Lane> number_wins =
        greater<Lane>(number, bound) | (equal<Lane>(number, bound) & less_code<Lane>(x_code, code));
    const Mask<Lane> nan_wins = ~is_nan(best) | less_code<Lane>(code, x_code);
    return (is_nan(x) & nan_wins) | (~is_nan(x) & number_wins);
  }

  // Either zero may come out, and any NaN.
  VOXPOOL_INLINE static Vector<Lane> maximum(Vector<Lane> x, Vector<Lane> best) { return x > best ? x : best; }
};

// What a kernel remembers of the tap that holds the maximum: nothing, or its code. In scan order candidates come with
// ascending codes, and comparing values is enough.
enum class Track { values, taps_in_scan_order, taps_in_any_order };

constexpr bool tracks_taps(Track track) { return track != Track::values; }

// The maximum so far.
template <class E, Track track>
struct Best {
  using Lane = typename E::Lane;
  Vector<Lane> value;
  Codes<Lane> code;

  VOXPOOL_INLINE void take(Vector<Lane> x, Codes<Lane> x_code) {
    if constexpr (track == Track::values) {
      value = E::maximum(x, value);
    } else {
      Mask<Lane> mask;
      if constexpr (track == Track::taps_in_scan_order) mask = E::wins(x, value);
      if constexpr (track == Track::taps_in_any_order) mask = E::wins(x, value, x_code, code);
      value = select<Lane>(mask, x, value);
      code = select_codes<Lane>(mask, x_code, code);
    }
  }

  // Zero, and no tap, where the maximum is not above zero; NaN stays.
  VOXPOOL_INLINE void rectify() {
    const Vector<Lane> zero = splat(E::lane_zero);
    const Mask<Lane> stays = E::wins(value, zero);
    value = select<Lane>(stays, value, zero);
    if constexpr (tracks_taps(track)) code = select_codes<Lane>(stays, code, splat_code<Lane>(no_tap<uint8_t>));
  }
};

}  // namespace
}  // namespace voxpool::cpu::VOXPOOL_UNIT
