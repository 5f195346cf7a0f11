#pragma once

#include <cmath>
#include <cstdint>
#include <limits>
#include <type_traits>
#include <vector>

#include "core/element.h"
#include "core/problem.h"

// Brute force, written from the definition of the pooling alone: every tap inside the input of every window is visited.
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

// Calls f(tap, position) for every tap of output o that lies inside the input, in ascending order. Visits nothing else,
// so that windows of 2^31 taps along an axis are as quick as others.
template <class F>
void for_each_tap(const Axis& a, int64_t o, F&& f) {
  const int64_t start = o * a.stride - a.pad_begin;
  int64_t position = start;
  if (start < 0) position = start % a.dilation == 0 ? 0 : start % a.dilation + a.dilation;
  for (; position < a.in && (position - start) / a.dilation < a.kernel; position += a.dilation) {
    f((position - start) / a.dilation, position);
  }
}

template <class T>
Winner winner(const Geometry& g, const T* volume, const Strides& s, int64_t od, int64_t oh, int64_t ow) {
  Winner best;
  for_each_tap(g.d(), od, [&](int64_t td, int64_t d) {
    for_each_tap(g.h(), oh, [&](int64_t th, int64_t h) {
      for_each_tap(g.w(), ow, [&](int64_t tw, int64_t w) {
        const int64_t offset = d * s.d + h * s.h + w * s.w;
        const bool better =
            best.position < 0 || is_nan(number(volume[offset])) || number(volume[offset]) > number(volume[best.offset]);
        if (!better) return;
        // Windows of more taps than an int64 counts have no use for the number of a tap: it may wrap.
        const uint64_t row = static_cast<uint64_t>(td) * g.h().kernel + th;
        best = {(d * g.h().in + h) * g.w().in + w, static_cast<int64_t>(row * g.w().kernel + tw), offset};
      });
    });
  });
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
