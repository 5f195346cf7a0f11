#pragma once

#include "cpu/element.h"
#include "cpu/simd/float_maximum.h"
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

  VOXPOOL_INLINE static Element element(Raw x) { return x; }
  VOXPOOL_INLINE static Vector<Lane> decode(Vector<Raw> x) { return x; }
  VOXPOOL_INLINE static Vector<Raw> encode(Vector<Lane> x) { return x; }

  // Where a later tap x replaces the maximum so far: strictly greater, or NaN.
  VOXPOOL_INLINE static auto wins(Vector<Lane> x, Vector<Lane> best) {
    if constexpr (std::is_floating_point_v<T>) {
      return (x > best) | (x != x);
    } else {
      return x > best;
    }
  }

  // The same where x may be an earlier tap: then equal values go to the smaller code, two NaNs to the larger.
  VOXPOOL_INLINE static auto wins(Vector<Lane> x, Vector<Lane> best, Codes<Lane> x_code, Codes<Lane> code) {
    if constexpr (std::is_floating_point_v<T>) {
      return (x > best) | ((x == best) & (x_code < code)) | ((x != x) & ((best == best) | (x_code > code)));
    } else {
      return (x > best) | ((x == best) & (x_code < code));
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

  VOXPOOL_INLINE static Vector<int16_t> invert_negative(Vector<int16_t> x) { return x ^ ((x >> 15) & 0x7fff); }
  VOXPOOL_INLINE static Vector<int16_t> add(Vector<int16_t> x, int16_t y) {
    return (Vector<int16_t>)((Vector<uint16_t>)x + static_cast<uint16_t>(y));  // unsigned: wraps
  }
  VOXPOOL_INLINE static Element element(Raw x) { return {static_cast<uint16_t>(x)}; }
  VOXPOOL_INLINE static Vector<Lane> decode(Vector<Raw> x) { return add(invert_negative(x), -shift); }
  VOXPOOL_INLINE static Vector<Raw> encode(Vector<Lane> x) { return invert_negative(add(x, shift)); }

  // Raises -0 to +0, so that neither is greater: a mask is -1.
  VOXPOOL_INLINE static Vector<Lane> one_zero(Vector<Lane> x) { return x - (x == splat(negative_zero)); }
  VOXPOOL_INLINE static auto is_nan(Vector<Lane> x) { return x > splat(positive_infinity); }

  VOXPOOL_INLINE static auto wins(Vector<Lane> x, Vector<Lane> best) { return (x > one_zero(best)) | is_nan(x); }

  VOXPOOL_INLINE static auto wins(Vector<Lane> x, Vector<Lane> best, Codes<Lane> x_code, Codes<Lane> code) {
    const Vector<Lane> number = one_zero(x), bound = one_zero(best);
    const auto number_wins = (number > bound) | ((number == bound) & (x_code < code));
    const auto nan_wins = ~is_nan(best) | (x_code > code);
    return is_nan(x) ? nan_wins : number_wins;
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
      const auto mask = [&] {
        if constexpr (track == Track::taps_in_scan_order) return E::wins(x, value);
        if constexpr (track == Track::taps_in_any_order) return E::wins(x, value, x_code, code);
      }();
      value = mask ? x : value;
      code = mask ? x_code : code;
    }
  }
};

}  // namespace
}  // namespace voxpool::cpu::VOXPOOL_UNIT
