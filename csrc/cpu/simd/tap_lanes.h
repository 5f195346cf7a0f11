#pragma once

#ifdef __AVX2__
#include <immintrin.h>
#endif

#include "cpu/simd/partial.h"

// Tap codes next to the lanes they belong to: one byte each in memory, lane-wide in registers, so that the mask of a
// comparison selects values and codes alike.
namespace voxpool::cpu::VOXPOOL_UNIT {
namespace {

template <int bytes>
struct CodeLaneOf;
template <>
struct CodeLaneOf<1> {
  using type = uint8_t;
};
template <>
struct CodeLaneOf<2> {
  using type = int16_t;
};
template <>
struct CodeLaneOf<4> {
  using type = int32_t;
};
template <>
struct CodeLaneOf<8> {
  using type = int64_t;
};

// The integer as wide as a lane T.
template <class T>
using CodeLane = typename CodeLaneOf<sizeof(T)>::type;

template <class T>
using Codes = Vector<CodeLane<T>>;

#if defined(__AVX512BW__)

template <class T>
VOXPOOL_INLINE Codes<T> load_codes(const uint8_t* from) {
  if constexpr (sizeof(T) == 1) return load(from);
  if constexpr (sizeof(T) == 2) {
    return (Codes<T>)_mm512_cvtepu8_epi16(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)));
  }
  if constexpr (sizeof(T) == 4) {
    return (Codes<T>)_mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from)));
  }
  if constexpr (sizeof(T) == 8) {
    return (Codes<T>)_mm512_cvtepu8_epi64(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(from)));
  }
}

template <class T>
VOXPOOL_INLINE void store_codes(uint8_t* to, Codes<T> codes) {
  if constexpr (sizeof(T) == 1) store(to, codes);
  if constexpr (sizeof(T) == 2) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), _mm512_cvtepi16_epi8((__m512i)codes));
  }
  if constexpr (sizeof(T) == 4) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to), _mm512_cvtepi32_epi8((__m512i)codes));
  }
  if constexpr (sizeof(T) == 8) {
    _mm_storel_epi64(reinterpret_cast<__m128i*>(to), _mm512_cvtepi64_epi8((__m512i)codes));
  }
}

#elif defined(__AVX2__)

template <class T>
VOXPOOL_INLINE Codes<T> load_codes(const uint8_t* from) {
  if constexpr (sizeof(T) == 1) return load(from);
  if constexpr (sizeof(T) == 2) {
    return (Codes<T>)_mm256_cvtepu8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from)));
  }
  if constexpr (sizeof(T) == 4) {
    return (Codes<T>)_mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(from)));
  }
  if constexpr (sizeof(T) == 8) {
    int32_t bytes;
    std::memcpy(&bytes, from, sizeof bytes);
    return (Codes<T>)_mm256_cvtepu8_epi64(_mm_cvtsi32_si128(bytes));
  }
}

template <class T>
VOXPOOL_INLINE void store_codes(uint8_t* to, Codes<T> codes) {
  if constexpr (sizeof(T) == 1) return store(to, codes);
  const __m128i low = _mm256_castsi256_si128((__m256i)codes), high = _mm256_extracti128_si256((__m256i)codes, 1);
  if constexpr (sizeof(T) == 2) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to), _mm_packus_epi16(low, high));
  }
  if constexpr (sizeof(T) == 4) {
    const __m128i words = _mm_packus_epi32(low, high);
    _mm_storel_epi64(reinterpret_cast<__m128i*>(to), _mm_packus_epi16(words, words));
  }
  if constexpr (sizeof(T) == 8) {
    const __m128i words = _mm_packus_epi32(low, high);
    const __m128i halves = _mm_packus_epi32(words, words);
    const int32_t bytes = _mm_cvtsi128_si32(_mm_packus_epi16(halves, halves));
    std::memcpy(to, &bytes, sizeof bytes);
  }
}

#else

template <class T>
VOXPOOL_INLINE Codes<T> load_codes(const uint8_t* from) {
  CodeLane<T> wide[lanes<T>];
  for (int i = 0; i < lanes<T>; ++i) wide[i] = from[i];
  return load(wide);
}

template <class T>
VOXPOOL_INLINE void store_codes(uint8_t* to, Codes<T> codes) {
  CodeLane<T> wide[lanes<T>];
  store(wide, codes);
  for (int i = 0; i < lanes<T>; ++i) to[i] = static_cast<uint8_t>(wide[i]);
}

#endif

// Stores the codes of lanes [0, count).
template <class T>
VOXPOOL_INLINE void store_first_codes(uint8_t* to, Codes<T> codes, int count) {
  uint8_t all[lanes<T>];
  store_codes<T>(all, codes);
#if defined(__AVX512BW__)
  const __mmask64 mask = lane_bits(0, count);
  const __m512i bytes = _mm512_maskz_loadu_epi8(mask, all);
  _mm512_mask_storeu_epi8(to, mask, bytes);
#else
  std::memcpy(to, all, count);
#endif
}

}  // namespace
}  // namespace voxpool::cpu::VOXPOOL_UNIT
