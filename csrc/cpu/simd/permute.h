#pragma once

#ifdef __AVX2__
#include <immintrin.h>
#endif

#include "cpu/simd/vector.h"

// Lanes of two vectors in an order that is only known at run time, where the instruction set has it.
namespace voxpool::cpu::VOXPOOL_UNIT {
namespace {

#if defined(__AVX512BW__)
template <class T>
constexpr bool can_permute = sizeof(T) > 1;
#elif defined(__AVX2__)
template <class T>
constexpr bool can_permute = sizeof(T) == 4;
#else
template <class T>
constexpr bool can_permute = false;
#endif

template <class T>
using PermuteIndex = decltype(Vector<T>{} == Vector<T>{});

// One byte per lane: j stands for lane j of the first vector, lanes<T> + j for lane j of the second.
template <class T>
VOXPOOL_INLINE PermuteIndex<T> load_index([[maybe_unused]] const uint8_t* from) {
#if defined(__AVX512BW__)
  if constexpr (sizeof(T) == 2) {
    return (PermuteIndex<T>)_mm512_cvtepu8_epi16(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)));
  }
  if constexpr (sizeof(T) == 4) {
    return (PermuteIndex<T>)_mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from)));
  }
  if constexpr (sizeof(T) == 8) {
    return (PermuteIndex<T>)_mm512_cvtepu8_epi64(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(from)));
  }
#elif defined(__AVX2__)
  if constexpr (sizeof(T) == 4) {
    return (PermuteIndex<T>)_mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(from)));
  }
#endif
  return PermuteIndex<T>{};
}

template <class T>
VOXPOOL_INLINE Vector<T> permute_two(Vector<T> x, [[maybe_unused]] Vector<T> y,
                                     [[maybe_unused]] PermuteIndex<T> index) {
#if defined(__AVX512BW__)
  const __m512i a = (__m512i)x, b = (__m512i)y;
  if constexpr (sizeof(T) == 2) return (Vector<T>)_mm512_permutex2var_epi16(a, (__m512i)index, b);
  if constexpr (sizeof(T) == 4) return (Vector<T>)_mm512_permutex2var_epi32(a, (__m512i)index, b);
  if constexpr (sizeof(T) == 8) return (Vector<T>)_mm512_permutex2var_epi64(a, (__m512i)index, b);
#elif defined(__AVX2__)
  if constexpr (sizeof(T) == 4) {
    const __m256i from_x = _mm256_permutevar8x32_epi32((__m256i)x, (__m256i)index);
    const __m256i from_y = _mm256_permutevar8x32_epi32((__m256i)y, (__m256i)index);
    const __m256i second = _mm256_cmpgt_epi32((__m256i)index, _mm256_set1_epi32(lanes<T> - 1));
    return (Vector<T>)_mm256_blendv_epi8(from_x, from_y, second);
  }
#endif
  return x;
}

}  // namespace
}  // namespace voxpool::cpu::VOXPOOL_UNIT
