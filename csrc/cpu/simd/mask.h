#pragma once

#include <type_traits>

#ifdef __SSE2__
#include <immintrin.h>
#endif

#include "cpu/simd/vector.h"

// Comparisons of lanes, and choosing by them. With AVX-512 a mask is a register of bits, one per lane whatever its
// width, so the mask of wide lanes selects bytes too; elsewhere it is a vector of lanes that are all ones or all zeros.
namespace voxpool::cpu::VOXPOOL_UNIT {
namespace {

#if defined(__AVX512BW__)

// As many bits as there are lanes.
template <class T>
using Mask = std::conditional_t<
    lanes<T> == 64, __mmask64,
    std::conditional_t<lanes<T> == 32, __mmask32, std::conditional_t<lanes<T> == 16, __mmask16, __mmask8>>>;

template <class T, int predicate>
VOXPOOL_INLINE Mask<T> compare_integers(Vector<T> x, Vector<T> y) {
  const __m512i a = (__m512i)x, b = (__m512i)y;
  if constexpr (std::is_signed_v<T>) {
    if constexpr (sizeof(T) == 1) return _mm512_cmp_epi8_mask(a, b, predicate);
    if constexpr (sizeof(T) == 2) return _mm512_cmp_epi16_mask(a, b, predicate);
    if constexpr (sizeof(T) == 4) return _mm512_cmp_epi32_mask(a, b, predicate);
    if constexpr (sizeof(T) == 8) return _mm512_cmp_epi64_mask(a, b, predicate);
  } else {
    if constexpr (sizeof(T) == 1) return _mm512_cmp_epu8_mask(a, b, predicate);
    if constexpr (sizeof(T) == 2) return _mm512_cmp_epu16_mask(a, b, predicate);
    if constexpr (sizeof(T) == 4) return _mm512_cmp_epu32_mask(a, b, predicate);
    if constexpr (sizeof(T) == 8) return _mm512_cmp_epu64_mask(a, b, predicate);
  }
}

template <class T>
VOXPOOL_INLINE Mask<T> greater(Vector<T> x, Vector<T> y) {
  if constexpr (std::is_same_v<T, float>) return _mm512_cmp_ps_mask(x, y, _CMP_GT_OQ);
  if constexpr (std::is_same_v<T, double>) return _mm512_cmp_pd_mask(x, y, _CMP_GT_OQ);
  if constexpr (std::is_integral_v<T>) return compare_integers<T, _MM_CMPINT_NLE>(x, y);
}

template <class T>
VOXPOOL_INLINE Mask<T> equal(Vector<T> x, Vector<T> y) {
  if constexpr (std::is_same_v<T, float>) return _mm512_cmp_ps_mask(x, y, _CMP_EQ_OQ);
  if constexpr (std::is_same_v<T, double>) return _mm512_cmp_pd_mask(x, y, _CMP_EQ_OQ);
  if constexpr (std::is_integral_v<T>) return compare_integers<T, _MM_CMPINT_EQ>(x, y);
}

template <class T>
VOXPOOL_INLINE Vector<T> select(Mask<T> mask, Vector<T> x, Vector<T> y) {
  const __m512i a = (__m512i)x, b = (__m512i)y;
  if constexpr (sizeof(T) == 1) return (Vector<T>)_mm512_mask_blend_epi8(mask, b, a);
  if constexpr (sizeof(T) == 2) return (Vector<T>)_mm512_mask_blend_epi16(mask, b, a);
  if constexpr (sizeof(T) == 4) return (Vector<T>)_mm512_mask_blend_epi32(mask, b, a);
  if constexpr (sizeof(T) == 8) return (Vector<T>)_mm512_mask_blend_epi64(mask, b, a);
}

#else

template <class T>
using Mask = decltype(Vector<T>{} > Vector<T>{});

template <class T>
VOXPOOL_INLINE Mask<T> greater(Vector<T> x, Vector<T> y) {
  return x > y;
}

template <class T>
VOXPOOL_INLINE Mask<T> equal(Vector<T> x, Vector<T> y) {
  return x == y;
}

template <class T>
VOXPOOL_INLINE Vector<T> select(Mask<T> mask, Vector<T> x, Vector<T> y) {
  return mask ? x : y;
}

#endif

template <class T>
VOXPOOL_INLINE Mask<T> is_nan(Vector<T> x) {
  return static_cast<Mask<T>>(~equal<T>(x, x));
}

// Where a floating x is greater than best, or NaN: one comparison for "not less or equal, or unordered" against best
// with NaN lowered to infinity, as the processors' minimum returns its second operand for NaN.
template <class T>
VOXPOOL_INLINE Mask<T> greater_or_nan(Vector<T> x, Vector<T> best) {
#if defined(__AVX512F__)
  const Vector<T> infinity = splat(static_cast<T>(__builtin_inff()));
  if constexpr (sizeof(T) == 4) return _mm512_cmp_ps_mask(x, _mm512_min_ps(best, infinity), _CMP_NLE_UQ);
  if constexpr (sizeof(T) == 8) return _mm512_cmp_pd_mask(x, _mm512_min_pd(best, infinity), _CMP_NLE_UQ);
#elif defined(__AVX2__)
  const Vector<T> infinity = splat(static_cast<T>(__builtin_inff()));
  if constexpr (sizeof(T) == 4) return (Mask<T>)_mm256_cmp_ps(x, _mm256_min_ps(best, infinity), _CMP_NLE_UQ);
  if constexpr (sizeof(T) == 8) return (Mask<T>)_mm256_cmp_pd(x, _mm256_min_pd(best, infinity), _CMP_NLE_UQ);
#elif defined(__SSE2__)
  const Vector<T> infinity = splat(static_cast<T>(__builtin_inff()));
  if constexpr (sizeof(T) == 4) return (Mask<T>)_mm_cmpnle_ps(x, _mm_min_ps(best, infinity));
  if constexpr (sizeof(T) == 8) return (Mask<T>)_mm_cmpnle_pd(x, _mm_min_pd(best, infinity));
#else
  return (x > best) | (x != x);
#endif
}

}  // namespace
}  // namespace voxpool::cpu::VOXPOOL_UNIT
