#pragma once

#ifdef __AVX2__
#include <immintrin.h>
#endif

#include "cpu/simd/vector.h"

// Integers in wider lanes: bytes as int32, and each half of an int32 vector as int64.
namespace voxpool::cpu::VOXPOOL_UNIT {
namespace {

#if defined(__AVX512BW__)

VOXPOOL_INLINE Vector<int32_t> widen_bytes(const uint8_t* from) {
  return (Vector<int32_t>)_mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from)));
}
VOXPOOL_INLINE Vector<int64_t> widen_low(Vector<int32_t> x) {
  return (Vector<int64_t>)_mm512_cvtepi32_epi64(_mm512_castsi512_si256((__m512i)x));
}
VOXPOOL_INLINE Vector<int64_t> widen_high(Vector<int32_t> x) {
  return (Vector<int64_t>)_mm512_cvtepi32_epi64(_mm512_extracti64x4_epi64((__m512i)x, 1));
}

#elif defined(__AVX2__)

VOXPOOL_INLINE Vector<int32_t> widen_bytes(const uint8_t* from) {
  return (Vector<int32_t>)_mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(from)));
}
VOXPOOL_INLINE Vector<int64_t> widen_low(Vector<int32_t> x) {
  return (Vector<int64_t>)_mm256_cvtepi32_epi64(_mm256_castsi256_si128((__m256i)x));
}
VOXPOOL_INLINE Vector<int64_t> widen_high(Vector<int32_t> x) {
  return (Vector<int64_t>)_mm256_cvtepi32_epi64(_mm256_extracti128_si256((__m256i)x, 1));
}

#else

VOXPOOL_INLINE Vector<int32_t> widen_bytes(const uint8_t* from) {
  Vector<int32_t> wide;
  for (int i = 0; i < lanes<int32_t>; ++i) wide[i] = from[i];
  return wide;
}
VOXPOOL_INLINE Vector<int64_t> widen_low(Vector<int32_t> x) {
  Vector<int64_t> wide;
  for (int i = 0; i < lanes<int64_t>; ++i) wide[i] = x[i];
  return wide;
}
VOXPOOL_INLINE Vector<int64_t> widen_high(Vector<int32_t> x) {
  Vector<int64_t> wide;
  for (int i = 0; i < lanes<int64_t>; ++i) wide[i] = x[lanes<int64_t> + i];
  return wide;
}

#endif

}  // namespace
}  // namespace voxpool::cpu::VOXPOOL_UNIT
