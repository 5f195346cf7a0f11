#pragma once

#ifdef __AVX2__
#include <immintrin.h>
#endif

#include <type_traits>

#include "cpu/simd/mask.h"
#include "cpu/simd/partial.h"

// Tap codes next to the lanes they belong to: one byte each in memory. With AVX-512 they stay bytes in registers, as a
// mask of lanes selects bytes; elsewhere they are as wide as the lanes, so that the mask of a comparison fits both.
namespace voxpool::cpu::VOXPOOL_UNIT {
namespace {

#if defined(__AVX512BW__)

// As many bytes as there are lanes, sixteen at least.
template <class T>
struct CodesOf {
  typedef uint8_t type __attribute__((vector_size(lanes<T> < 16 ? 16 : lanes<T>)));
};

template <class T>
using Codes = typename CodesOf<T>::type;

template <class T>
VOXPOOL_INLINE Codes<T> splat_code(int64_t code) {
  return static_cast<uint8_t>(code) - Codes<T>{};
}

template <class T>
VOXPOOL_INLINE Codes<T> load_codes(const uint8_t* from) {
  if constexpr (lanes<T> == 8) return (Codes<T>)_mm_loadl_epi64(reinterpret_cast<const __m128i*>(from));
  Codes<T> codes;
  std::memcpy(&codes, from, sizeof codes);
  return codes;
}

template <class T>
VOXPOOL_INLINE void store_codes(uint8_t* to, Codes<T> codes) {
  std::memcpy(to, &codes, lanes<T>);
}

template <class T>
VOXPOOL_INLINE Mask<T> less_code(Codes<T> x, Codes<T> y) {
  if constexpr (lanes<T> <= 16) return static_cast<Mask<T>>(_mm_cmplt_epu8_mask((__m128i)x, (__m128i)y));
  if constexpr (lanes<T> == 32) return _mm256_cmplt_epu8_mask((__m256i)x, (__m256i)y);
  if constexpr (lanes<T> == 64) return _mm512_cmplt_epu8_mask((__m512i)x, (__m512i)y);
}

template <class T>
VOXPOOL_INLINE Mask<T> equal_code(Codes<T> x, Codes<T> y) {
  if constexpr (lanes<T> <= 16) return static_cast<Mask<T>>(_mm_cmpeq_epi8_mask((__m128i)x, (__m128i)y));
  if constexpr (lanes<T> == 32) return _mm256_cmpeq_epi8_mask((__m256i)x, (__m256i)y);
  if constexpr (lanes<T> == 64) return _mm512_cmpeq_epi8_mask((__m512i)x, (__m512i)y);
}

template <class T>
VOXPOOL_INLINE Codes<T> select_codes(Mask<T> mask, Codes<T> x, Codes<T> y) {
  if constexpr (lanes<T> <= 16) return (Codes<T>)_mm_mask_blend_epi8(mask, (__m128i)y, (__m128i)x);
  if constexpr (lanes<T> == 32) return (Codes<T>)_mm256_mask_blend_epi8(mask, (__m256i)y, (__m256i)x);
  if constexpr (lanes<T> == 64) return (Codes<T>)_mm512_mask_blend_epi8(mask, (__m512i)y, (__m512i)x);
}

#else

// An integer as wide as a lane T.
template <class T>
using CodeLane = std::conditional_t<
    sizeof(T) == 1, uint8_t,
    std::conditional_t<sizeof(T) == 2, int16_t, std::conditional_t<sizeof(T) == 4, int32_t, int64_t>>>;

template <class T>
using Codes = Vector<CodeLane<T>>;

template <class T>
VOXPOOL_INLINE Codes<T> splat_code(int64_t code) {
  return splat(static_cast<CodeLane<T>>(code));
}

template <class T>
VOXPOOL_INLINE Mask<T> less_code(Codes<T> x, Codes<T> y) {
  return (Mask<T>)(x < y);
}

template <class T>
VOXPOOL_INLINE Mask<T> equal_code(Codes<T> x, Codes<T> y) {
  return (Mask<T>)(x == y);
}

template <class T>
VOXPOOL_INLINE Codes<T> select_codes(Mask<T> mask, Codes<T> x, Codes<T> y) {
  return mask ? x : y;
}

#if defined(__AVX2__)

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

#endif

// Those of a range of lanes; the others hold `no_tap`, which no window has.
template <class T>
VOXPOOL_INLINE Codes<T> load_codes(const uint8_t* from, const LaneRange<lanes<T>>& range) {
#if defined(__AVX512BW__)
  const __m512i none = _mm512_set1_epi8(-1);
  if constexpr (lanes<T> <= 16) {
    return (Codes<T>)_mm_mask_loadu_epi8(_mm512_castsi512_si128(none), static_cast<__mmask16>(range.bits), from);
  }
  if constexpr (lanes<T> == 32) {
    return (Codes<T>)_mm256_mask_loadu_epi8(_mm512_castsi512_si256(none), static_cast<__mmask32>(range.bits), from);
  }
  if constexpr (lanes<T> == 64) return (Codes<T>)_mm512_mask_loadu_epi8(none, range.bits, from);
#else
  uint8_t part[lanes<T>];
  std::memset(part, 0xff, sizeof part);
  if (range.begin < range.end) std::memcpy(part + range.begin, from + range.begin, range.end - range.begin);
  return load_codes<T>(part);
#endif
}

template <class T>
VOXPOOL_INLINE void store_codes(uint8_t* to, Codes<T> codes, const LaneRange<lanes<T>>& range) {
#if defined(__AVX512BW__)
  if constexpr (lanes<T> <= 16) _mm_mask_storeu_epi8(to, static_cast<__mmask16>(range.bits), (__m128i)codes);
  if constexpr (lanes<T> == 32) _mm256_mask_storeu_epi8(to, static_cast<__mmask32>(range.bits), (__m256i)codes);
  if constexpr (lanes<T> == 64) _mm512_mask_storeu_epi8(to, range.bits, (__m512i)codes);
#else
  uint8_t all[lanes<T>];
  store_codes<T>(all, codes);
  if (range.begin < range.end) std::memcpy(to + range.begin, all + range.begin, range.end - range.begin);
#endif
}

}  // namespace
}  // namespace voxpool::cpu::VOXPOOL_UNIT
