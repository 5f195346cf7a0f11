#pragma once

#include <bit>
#include <cstdint>
#include <limits>
#include <type_traits>

#include "core/portability.h"
#include "core/scalar_type.h"

// Elements one at a time: what "greater", "NaN" and "sum" mean for each dtype. 16-bit floats are handled as their bits.
namespace voxpool {

// Storage of a 16-bit float with `mantissa` bits of fraction, ordered as int16.
template <int mantissa_bits>
struct Half {
  uint16_t bits;

  static constexpr int mantissa = mantissa_bits;
  static constexpr uint16_t infinity = 0x7fff >> mantissa << mantissa;

  // Magnitude with the sign applied: equal for both zeros, ordered like the numbers.
  VOXPOOL_INLINE constexpr int32_t ordered() const {
    const int32_t magnitude = bits & 0x7fff;
    return bits & 0x8000 ? -magnitude : magnitude;
  }
  VOXPOOL_INLINE constexpr bool is_nan() const { return (bits & 0x7fff) > infinity; }
};
using Float16 = Half<10>;
using BFloat16 = Half<7>;

template <class T>
inline constexpr bool is_half = std::is_same_v<T, Float16> || std::is_same_v<T, BFloat16>;

// The identity of max: what padding would hold.
template <class T>
VOXPOOL_INLINE constexpr T lowest() {
  if constexpr (is_half<T>) {
    return T{static_cast<uint16_t>(0x8000 | T::infinity)};
  } else if constexpr (std::is_floating_point_v<T>) {
    return -std::numeric_limits<T>::infinity();
  } else {
    return std::numeric_limits<T>::min();
  }
}

// Whether a later tap `x` replaces the maximum so far: strictly greater, or NaN.
template <class T>
VOXPOOL_INLINE constexpr bool wins(T x, T best) {
  if constexpr (is_half<T>) {
    return x.is_nan() || (!best.is_nan() && x.ordered() > best.ordered());
  } else if constexpr (std::is_floating_point_v<T>) {
    return x > best || x != x;
  } else {
    return x > best;
  }
}

VOXPOOL_INLINE float to_float(BFloat16 x) { return std::bit_cast<float>(static_cast<uint32_t>(x.bits) << 16); }

VOXPOOL_INLINE float to_float(Float16 x) {
  const uint32_t sign = (x.bits & 0x8000u) << 16;
  const uint32_t magnitude = x.bits & 0x7fffu;
  // Widening the exponent by multiplication with 2^112 also normalises subnormal numbers.
  const float scaled = std::bit_cast<float>(magnitude << 13) * 0x1p112f;
  const uint32_t bits =
      magnitude >= Float16::infinity ? (magnitude << 13) | 0x7f800000u : std::bit_cast<uint32_t>(scaled);
  return std::bit_cast<float>(sign | bits);
}

// Rounds to nearest, ties to even.
VOXPOOL_INLINE BFloat16 to_bfloat16(float x) {
  const uint32_t bits = std::bit_cast<uint32_t>(x);
  if (x != x) return {static_cast<uint16_t>(bits >> 16 | 0x40)};
  return {static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16)};
}

// Rounds to nearest, ties to even.
VOXPOOL_INLINE Float16 to_float16(float x) {
  const uint32_t bits = std::bit_cast<uint32_t>(x);
  const uint16_t sign = static_cast<uint16_t>(bits >> 16 & 0x8000);
  const uint32_t magnitude = bits & 0x7fffffffu;
  if (magnitude > 0x7f800000u) return {static_cast<uint16_t>(sign | 0x7e00 | (magnitude >> 13 & 0x3ff))};
  if (magnitude >= 0x477ff000u) return {static_cast<uint16_t>(sign | Float16::infinity)};  // 65520 rounds up to 2^16
  if (magnitude < 0x38800000u) {
    // Below 2^-14: adding 0.5 leaves the subnormal's bits, rounded by the addition, at the bottom of the mantissa.
    const float shifted = std::bit_cast<float>(magnitude) + 0.5f;
    return {static_cast<uint16_t>(sign | (std::bit_cast<uint32_t>(shifted) - 0x3f000000u))};
  }
  const uint32_t rounded = magnitude - 0x38000000u + 0xfff + (magnitude >> 13 & 1);
  return {static_cast<uint16_t>(sign | rounded >> 13)};
}

// Gradients of 16-bit floats are added in float and rounded once.
template <class T>
using Sum = std::conditional_t<is_half<T>, float, T>;

template <class T>
VOXPOOL_INLINE Sum<T> widen(T x) {
  if constexpr (is_half<T>) {
    return to_float(x);
  } else {
    return x;
  }
}

template <class T>
VOXPOOL_INLINE T narrow(Sum<T> x) {
  if constexpr (std::is_same_v<T, Float16>) {
    return to_float16(x);
  } else if constexpr (std::is_same_v<T, BFloat16>) {
    return to_bfloat16(x);
  } else {
    return x;
  }
}

// Calls f with a value of the element type of `type`.
template <class F>
VOXPOOL_INLINE void dispatch_floating(ScalarType type, F&& f) {
  switch (type) {
    case ScalarType::f16:
      return f(Float16{});
    case ScalarType::bf16:
      return f(BFloat16{});
    case ScalarType::f32:
      return f(float{});
    case ScalarType::f64:
      return f(double{});
    default:
      return;
  }
}

template <class F>
VOXPOOL_INLINE void dispatch(ScalarType type, F&& f) {
  switch (type) {
    case ScalarType::u8:
      return f(uint8_t{});
    case ScalarType::i8:
      return f(int8_t{});
    case ScalarType::i16:
      return f(int16_t{});
    case ScalarType::i32:
      return f(int32_t{});
    case ScalarType::i64:
      return f(int64_t{});
    default:
      return dispatch_floating(type, f);
  }
}

// Calls f with a value of an integer type as wide as `type`: to move elements is the same for all types of one size.
template <class F>
VOXPOOL_INLINE void dispatch_size(ScalarType type, F&& f) {
  switch (size_of(type)) {
    case 1:
      return f(uint8_t{});
    case 2:
      return f(uint16_t{});
    case 4:
      return f(uint32_t{});
    default:
      return f(uint64_t{});
  }
}

}  // namespace voxpool
