#pragma once

#include <algorithm>
#include <array>
#include <cstring>
#include <random>
#include <type_traits>

#include "core/element.h"
#include "core/problem.h"
#include "guarded_buffer.h"

// Where the elements of a test tensor lie, and what they hold.
namespace voxpool::testing {

inline constexpr ScalarType floating_types[] = {ScalarType::f16, ScalarType::bf16, ScalarType::f32, ScalarType::f64};
inline constexpr ScalarType all_types[] = {ScalarType::u8,   ScalarType::i8,  ScalarType::i16,
                                           ScalarType::i32,  ScalarType::i64, ScalarType::f16,
                                           ScalarType::bf16, ScalarType::f32, ScalarType::f64};

inline const char* name_of(ScalarType type) {
  static constexpr const char* names[] = {"u8", "i8", "i16", "i32", "i64", "f16", "bf16", "f32", "f64"};
  return names[static_cast<int>(type)];
}

// Orders and gaps a kernel may meet. Views are crops of a larger tensor: rows are intact, neighbours are not.
enum class Order { channels_first, channels_last, channels_first_view, channels_last_view, hwdc, cdwh };

inline constexpr Order all_orders[] = {Order::channels_first,     Order::channels_last, Order::channels_first_view,
                                       Order::channels_last_view, Order::hwdc,          Order::cdwh};

inline Strides strides_of(Order order, int64_t c, const std::array<int64_t, 3>& size) {
  const auto [d, h, w] = size;
  switch (order) {
    case Order::channels_first:
      return {c * d * h * w, d * h * w, h * w, w, 1};
    case Order::channels_last:
      return {c * d * h * w, 1, h * w * c, w * c, c};
    case Order::channels_first_view: {
      const int64_t row = w + 3, plane = row * (h + 1), volume = plane * (d + 2);
      return {volume * c, volume, plane, row, 1};
    }
    case Order::channels_last_view: {
      const int64_t column = c + 2, row = column * (w + 1), plane = row * (h + 1);
      return {plane * d, 1, plane, row, column};
    }
    case Order::hwdc:
      return {c * d * h * w, 1, c, w * d * c, d * c};
    case Order::cdwh:
      return {c * d * h * w, d * h * w, h * w, 1, h};
  }
  return {};
}

// Order of a dense result for an input of this order.
inline Order dense(Order order) {
  return order == Order::channels_last || order == Order::channels_last_view ? Order::channels_last
                                                                             : Order::channels_first;
}

// Elements from the first to the last, both included.
inline int64_t extent(int64_t n, int64_t c, const std::array<int64_t, 3>& size, const Strides& s) {
  if (n == 0) return 0;
  return (n - 1) * s.n + (c - 1) * s.c + (size[0] - 1) * s.d + (size[1] - 1) * s.h + (size[2] - 1) * s.w + 1;
}

// Few distinct values, so that windows are full of ties, with what is special about the type mixed in.
template <class T>
T random_element(std::mt19937& random) {
  const uint32_t r = random();
  const int small = static_cast<int>(r % 7) - 3;
  const uint32_t special = (r >> 8) % 24;
  if constexpr (is_half<T>) {
    static constexpr uint16_t specials[] = {
        0x8000, 0x0000, T::infinity, 0x8000 | T::infinity, T::infinity | 1, 0x8000 | T::infinity | 5};
    if (special < std::size(specials)) return {specials[special]};
    return narrow<T>(static_cast<float>(small));
  } else if constexpr (std::is_floating_point_v<T>) {
    const T specials[] = {T(-0.0),
                          T(0.0),
                          std::numeric_limits<T>::infinity(),
                          -std::numeric_limits<T>::infinity(),
                          std::numeric_limits<T>::quiet_NaN(),
                          -std::numeric_limits<T>::quiet_NaN()};
    return special < std::size(specials) ? specials[special] : static_cast<T>(small);
  } else {
    if (special == 0) return std::numeric_limits<T>::min();
    if (special == 1) return std::numeric_limits<T>::max();
    return static_cast<T>(small);
  }
}

// What tensors hold: few distinct values with special ones among them; the lowest everywhere, so that no tap is greater
// than nothing; numbers none of which is there twice, as far as the type has them; any bits.
enum class Fill { ties, lowest, distinct, bits };

template <class T>
T element(Fill kind, int64_t i, std::mt19937& random) {
  if (kind == Fill::ties) return random_element<T>(random);
  if (kind == Fill::lowest) return lowest<T>();
  const uint64_t bits = kind == Fill::distinct ? static_cast<uint64_t>(i) * 40503 : random() * uint64_t{0x100000001};
  T value;
  if (kind == Fill::bits || !std::is_floating_point_v<T>) {
    std::memcpy(&value, &bits, sizeof value);  // multiples of an odd number wrap round without repeating
  } else if constexpr (std::is_floating_point_v<T>) {
    value = static_cast<T>(static_cast<int64_t>(bits % 65536) - 32768);
  }
  return value;
}

template <class T>
void fill(GuardedBuffer& buffer, int64_t count, Fill kind, uint32_t seed) {
  std::mt19937 random(seed);
  for (int64_t i = 0; i < count; ++i) buffer.as<T>()[i] = element<T>(kind, i, random);
}

// What a kernel meets beside the geometry: where the tensors lie and what they hold. The seed also decides at which
// ends of their memory there are guards.
struct Meeting {
  Strides input, output;
  Fill fill;
  uint32_t seed;
};

}  // namespace voxpool::testing
