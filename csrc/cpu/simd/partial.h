#pragma once

#ifdef __AVX2__
#include <immintrin.h>
#endif

#include "cpu/simd/vector.h"

// Loads and stores of a part of a vector, for row ends: memory outside the part is not touched.
namespace voxpool::cpu::VOXPOOL_UNIT {
namespace {

#ifdef __AVX512BW__

// Bits [begin, end) of n.
template <int n>
VOXPOOL_INLINE uint64_t lane_bits(int begin, int end) {
  if constexpr (n < 64) return (uint64_t{1} << end) - (uint64_t{1} << begin);
  const uint64_t below_end = end >= 64 ? ~uint64_t{0} : (uint64_t{1} << end) - 1;
  return begin >= 64 ? 0 : below_end >> begin << begin;
}

// Lanes [begin, end) from memory, the others hold `fill`. 0 <= begin <= end <= lanes.
template <class T>
VOXPOOL_INLINE Vector<T> load_range(const T* from, int begin, int end, T fill) {
  const uint64_t bits = lane_bits<lanes<T>>(begin, end);
  const __m512i other = (__m512i)splat(fill);
  if constexpr (sizeof(T) == 1) return (Vector<T>)_mm512_mask_loadu_epi8(other, bits, from);
  if constexpr (sizeof(T) == 2) return (Vector<T>)_mm512_mask_loadu_epi16(other, static_cast<__mmask32>(bits), from);
  if constexpr (sizeof(T) == 4) return (Vector<T>)_mm512_mask_loadu_epi32(other, static_cast<__mmask16>(bits), from);
  if constexpr (sizeof(T) == 8) return (Vector<T>)_mm512_mask_loadu_epi64(other, static_cast<__mmask8>(bits), from);
}

// Stores lanes [begin, end) to `to + begin` on.
template <class T>
VOXPOOL_INLINE void store_range(T* to, Vector<T> v, int begin, int end) {
  const uint64_t bits = lane_bits<lanes<T>>(begin, end);
  if constexpr (sizeof(T) == 1) _mm512_mask_storeu_epi8(to, bits, (__m512i)v);
  if constexpr (sizeof(T) == 2) _mm512_mask_storeu_epi16(to, static_cast<__mmask32>(bits), (__m512i)v);
  if constexpr (sizeof(T) == 4) _mm512_mask_storeu_epi32(to, static_cast<__mmask16>(bits), (__m512i)v);
  if constexpr (sizeof(T) == 8) _mm512_mask_storeu_epi64(to, static_cast<__mmask8>(bits), (__m512i)v);
}

#else

#ifdef __AVX2__

// All ones in lanes [begin, end).
template <class I>
VOXPOOL_INLINE __m256i lane_mask(int begin, int end) {
  Vector<I> index;
  for (int i = 0; i < lanes<I>; ++i) index[i] = i;
  return (__m256i)((index >= splat(static_cast<I>(begin))) & (index < splat(static_cast<I>(end))));
}

#endif

template <class T>
VOXPOOL_INLINE Vector<T> load_range(const T* from, int begin, int end, T fill) {
#ifdef __AVX2__
  if constexpr (sizeof(T) == 4) {
    const __m256i mask = lane_mask<int32_t>(begin, end);
    const __m256i loaded = _mm256_maskload_epi32(reinterpret_cast<const int*>(from), mask);
    return (Vector<T>)_mm256_blendv_epi8((__m256i)splat(fill), loaded, mask);
  }
  if constexpr (sizeof(T) == 8) {
    const __m256i mask = lane_mask<int64_t>(begin, end);
    const __m256i loaded = _mm256_maskload_epi64(reinterpret_cast<const long long*>(from), mask);
    return (Vector<T>)_mm256_blendv_epi8((__m256i)splat(fill), loaded, mask);
  }
#endif
  T part[lanes<T>];
  store(part, splat(fill));
  if (begin < end) std::memcpy(part + begin, from + begin, (end - begin) * sizeof(T));
  return load(part);
}

template <class T>
VOXPOOL_INLINE void store_range(T* to, Vector<T> v, int begin, int end) {
#ifdef __AVX2__
  if constexpr (sizeof(T) == 4) {
    return _mm256_maskstore_epi32(reinterpret_cast<int*>(to), lane_mask<int32_t>(begin, end), (__m256i)v);
  }
  if constexpr (sizeof(T) == 8) {
    return _mm256_maskstore_epi64(reinterpret_cast<long long*>(to), lane_mask<int64_t>(begin, end), (__m256i)v);
  }
#endif
  T part[lanes<T>];
  store(part, v);
  if (begin < end) std::memcpy(to + begin, part + begin, (end - begin) * sizeof(T));
}

#endif

}  // namespace
}  // namespace voxpool::cpu::VOXPOOL_UNIT
