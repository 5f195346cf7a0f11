#pragma once

#include <cmath>
#include <cstdint>
#include <limits>
#include <type_traits>
#include <vector>

#include "core/element.h"
#include "core/problem.h"

// Brute force, written from the definition of the pooling alone: every tap of every window is visited and tested.
// Shares with the library only the description of a problem.
namespace voxpool::testing {

// The number an element stands for.
inline double number(double x) { return x; }
inline double number(float x) { return x; }
template <int mantissa>
double number(Half<mantissa> x) {
  const int exponent_bits = 15 - mantissa;
  const int bias = (1 << (exponent_bits - 1)) - 1;
  const int exponent = (x.bits & 0x7fff) >> mantissa;
  const int fraction = x.bits & ((1 << mantissa) - 1);
  const double sign = x.bits & 0x8000 ? -1 : 1;
  if (exponent == (1 << exponent_bits) - 1) {
    return fraction != 0 ? std::numeric_limits<double>::quiet_NaN() : sign * std::numeric_limits<double>::infinity();
  }
  if (exponent == 0) return sign * std::ldexp(fraction, 1 - bias - mantissa);
  return sign * std::ldexp(fraction + (1 << mantissa), exponent - bias - mantissa);
}
template <class T>
requires std::is_integral_v<T> int64_t number(T x) { return x; }

inline bool is_nan(double x) { return std::isnan(x); }
inline bool is_nan(int64_t) { return false; }

// One output: where its maximum is (flat position inside the unpadded input, -1 without a tap) and which tap it was.
struct Winner {
  int64_t position = -1;
  int64_t tap = -1;
  int64_t offset = 0;  // in elements from the volume's first
};

template <class T>
Winner winner(const Geometry& g, const T* volume, const Strides& s, int64_t od, int64_t oh, int64_t ow) {
  Winner best;
  const auto at = [](const Axis& a, int64_t o, int64_t t) { return o * a.stride - a.pad_begin + t * a.dilation; };
  for (int64_t td = 0; td < g.d().kernel; ++td) {
    for (int64_t th = 0; th < g.h().kernel; ++th) {
      for (int64_t tw = 0; tw < g.w().kernel; ++tw) {
        const int64_t d = at(g.d(), od, td), h = at(g.h(), oh, th), w = at(g.w(), ow, tw);
        if (d < 0 || d >= g.d().in || h < 0 || h >= g.h().in || w < 0 || w >= g.w().in) continue;
        const int64_t offset = d * s.d + h * s.h + w * s.w;
        const bool better =
            best.position < 0 || is_nan(number(volume[offset])) || number(volume[offset]) > number(volume[best.offset]);
        if (better) {
          best = {(d * g.h().in + h) * g.w().in + w, (td * g.h().kernel + th) * g.w().kernel + tw, offset};
        }
      }
    }
  }
  return best;
}

// Calls f(n, c, od, oh, ow) for every output in ascending order.
template <class F>
void for_each_output(const Geometry& g, F&& f) {
  for (int64_t n = 0; n < g.batch; ++n)
    for (int64_t c = 0; c < g.channels; ++c)
      for (int64_t od = 0; od < g.d().out; ++od)
        for (int64_t oh = 0; oh < g.h().out; ++oh)
          for (int64_t ow = 0; ow < g.w().out; ++ow) f(n, c, od, oh, ow);
}

}  // namespace voxpool::testing
