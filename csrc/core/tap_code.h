#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>

#include "core/geometry.h"

namespace voxpool {

// Storage of a tap, chosen by the number of taps in a window: up to 255, up to 2^31 - 1, more.
enum class TapType : uint8_t { u8, i32, i64 };

VOXPOOL_INLINE constexpr size_t size_of(TapType type) { return type == TapType::u8 ? 1 : type == TapType::i32 ? 4 : 8; }

// The largest code of each type means that the window has no tap inside the input.
template <class Tap>
inline constexpr Tap no_tap = std::numeric_limits<Tap>::max();

// A tap code is a linear function of the three tap numbers (td, th, tw) plus a base that depends on the output:
//   u8, i32: (td * KH + th) * KW + tw, base 0: the position of the maximum inside its window;
//   i64:     the flat position of the maximum inside the input. Windows that large can have more taps than an int64
//            counts, while the positions inside the volume always fit.
// In both cases codes grow in scan order, so "the smaller code" is "the earlier tap".
struct TapCode {
  TapType type;
  std::array<int64_t, 3> step;          // by how much one tap along d, h, w raises the code
  std::array<int64_t, 3> origin_scale;  // factors of the window's start in the base

  VOXPOOL_INLINE constexpr int64_t base(const Geometry& g, int64_t od, int64_t oh, int64_t ow) const {
    return g.d().start(od) * origin_scale[0] + g.h().start(oh) * origin_scale[1] + g.w().start(ow) * origin_scale[2];
  }
};

constexpr TapCode tap_code(const Geometry& g) {
  // Saturates instead of overflowing: a kernel may be 2^31 - 1 long on each axis.
  constexpr int64_t limit = int64_t{1} << 31;
  int64_t taps = 1;
  for (const Axis& axis : g.axes) taps = axis.kernel >= limit / taps + 1 ? limit : taps * axis.kernel;

  if (taps < limit) {
    const TapType type = taps <= no_tap<uint8_t> ? TapType::u8 : TapType::i32;
    return {type, {g.h().kernel * g.w().kernel, g.w().kernel, 1}, {0, 0, 0}};
  }
  const int64_t row = g.w().in, plane = g.h().in * g.w().in;
  return {TapType::i64, {g.d().dilation * plane, g.h().dilation * row, g.w().dilation}, {plane, row, 1}};
}

// Flat position d * H * W + h * W + w, inside the unpadded input, of the tap with this code of output (od, oh, ow);
// -1 when the code is no tap of that window inside the input.
VOXPOOL_INLINE constexpr int64_t input_position(const Geometry& g, const TapCode& code, int64_t tap, int64_t od,
                                                int64_t oh, int64_t ow) {
  if (code.type == TapType::i64) {
    if (tap < 0 || tap >= g.input_volume()) return -1;
    const int64_t row = g.w().in, plane = g.h().in * row;
    const bool read =
        g.d().has_tap_on(od, tap / plane) && g.h().has_tap_on(oh, tap % plane / row) && g.w().has_tap_on(ow, tap % row);
    return read ? tap : -1;
  }
  if (tap < 0 || tap >= code.step[0] * g.d().kernel) return -1;
  const int64_t d = g.d().start(od) + tap / code.step[0] * g.d().dilation;
  const int64_t h = g.h().start(oh) + tap % code.step[0] / code.step[1] * g.h().dilation;
  const int64_t w = g.w().start(ow) + tap % code.step[1] * g.w().dilation;
  const bool inside = d >= 0 && d < g.d().in && h >= 0 && h < g.h().in && w >= 0 && w < g.w().in;
  return inside ? (d * g.h().in + h) * g.w().in + w : -1;
}

}  // namespace voxpool
