#pragma once

#ifdef __SSE2__
#include <immintrin.h>
#endif

#include "cpu/simd/vector.h"

// The maximum of floating lanes with torch's rules: x replaces best when it is greater or NaN. The processors' own
// maximum returns its second operand for equal numbers and for NaN on either side, so it is right but where x is NaN.
namespace voxpool::cpu::VOXPOOL_UNIT {
namespace {

#if defined(__AVX512F__)

// A table of responses by the class of x: the lowest two classes, quiet and signalling NaN, answer "x", the others
// "keep".
constexpr int nan_takes_x = 0x11;

VOXPOOL_INLINE Vector<float> maximum_lanes(Vector<float> x, Vector<float> best) {
  return _mm512_fixupimm_ps(_mm512_max_ps(x, best), x, _mm512_set1_epi32(nan_takes_x), 0);
}
VOXPOOL_INLINE Vector<double> maximum_lanes(Vector<double> x, Vector<double> best) {
  return _mm512_fixupimm_pd(_mm512_max_pd(x, best), x, _mm512_set1_epi64(nan_takes_x), 0);
}

#elif defined(__AVX2__)

VOXPOOL_INLINE Vector<float> maximum_lanes(Vector<float> x, Vector<float> best) {
  return x == x ? (Vector<float>)_mm256_max_ps(x, best) : x;
}
VOXPOOL_INLINE Vector<double> maximum_lanes(Vector<double> x, Vector<double> best) {
  return x == x ? (Vector<double>)_mm256_max_pd(x, best) : x;
}

#elif defined(__SSE2__)

VOXPOOL_INLINE Vector<float> maximum_lanes(Vector<float> x, Vector<float> best) {
  return x == x ? (Vector<float>)_mm_max_ps(x, best) : x;
}
VOXPOOL_INLINE Vector<double> maximum_lanes(Vector<double> x, Vector<double> best) {
  return x == x ? (Vector<double>)_mm_max_pd(x, best) : x;
}

#else

template <class V>
VOXPOOL_INLINE V maximum_lanes(V x, V best) {
  return (x > best) | (x != x) ? x : best;
}

#endif

}  // namespace
}  // namespace voxpool::cpu::VOXPOOL_UNIT
