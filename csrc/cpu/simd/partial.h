#pragma once

#ifdef __AVX2__
#include <immintrin.h>
#endif

#include "cpu/simd/vector.h"

// Loads and stores of a part of a vector, for row ends: memory outside the part is not touched.
namespace voxpool::cpu::VOXPOOL_UNIT {
namespace {

// Lanes [begin, end) of n, cut to the lanes there are; as bits where masks are bits.
template <int n>
class LaneRange {
  VOXPOOL_INLINE static int cut(int64_t i) { return static_cast<int>(i < 0 ? 0 : i < n ? i : n); }

 public:
  LaneRange() = default;
#if defined(__AVX512BW__)
  uint64_t bits;

  VOXPOOL_INLINE LaneRange(int64_t begin, int64_t end) : bits(below(cut(end)) & ~below(cut(begin))) {}

 private:
  VOXPOOL_INLINE static uint64_t below(int i) { return i == 64 ? ~uint64_t{0} : (uint64_t{1} << i) - 1; }
#else
  int begin, end;

  VOXPOOL_INLINE LaneRange(int64_t from, int64_t to) : begin(cut(from)), end(cut(to)) {}
#endif
};

#if defined(__AVX512BW__)

// The lanes of a range from memory, the others hold `fill`.
template <class T>
VOXPOOL_INLINE Vector<T> load_range(const T* from, const LaneRange<lanes<T>>& range, T fill) {
  const uint64_t bits = range.bits;
  const __m512i other = (__m512i)splat(fill);
  if constexpr (sizeof(T) == 1) return (Vector<T>)_mm512_mask_loadu_epi8(other, bits, from);
  if constexpr (sizeof(T) == 2) return (Vector<T>)_mm512_mask_loadu_epi16(other, static_cast<__mmask32>(bits), from);
  if constexpr (sizeof(T) == 4) return (Vector<T>)_mm512_mask_loadu_epi32(other, static_cast<__mmask16>(bits), from);
  if constexpr (sizeof(T) == 8) return (Vector<T>)_mm512_mask_loadu_epi64(other, static_cast<__mmask8>(bits), from);
}

// Stores the lanes of a range, lane i to `to + i`.
template <class T>
VOXPOOL_INLINE void store_range(T* to, Vector<T> v, const LaneRange<lanes<T>>& range) {
  const uint64_t bits = range.bits;
  if constexpr (sizeof(T) == 1) _mm512_mask_storeu_epi8(to, bits, (__m512i)v);
  if constexpr (sizeof(T) == 2) _mm512_mask_storeu_epi16(to, static_cast<__mmask32>(bits), (__m512i)v);
  if constexpr (sizeof(T) == 4) _mm512_mask_storeu_epi32(to, static_cast<__mmask16>(bits), (__m512i)v);
  if constexpr (sizeof(T) == 8) _mm512_mask_storeu_epi64(to, static_cast<__mmask8>(bits), (__m512i)v);
}

#else

#ifdef __AVX2__

// All ones in the lanes of a range.
template <class I>
VOXPOOL_INLINE __m256i lane_mask(const LaneRange<lanes<I>>& range) {
  Vector<I> index;
  for (int i = 0; i < lanes<I>; ++i) index[i] = i;
  return (__m256i)((index >= splat(static_cast<I>(range.begin))) & (index < splat(static_cast<I>(range.end))));
}

#endif

template <class T>
VOXPOOL_INLINE Vector<T> load_range(const T* from, const LaneRange<lanes<T>>& range, T fill) {
#ifdef __AVX2__
  if constexpr (sizeof(T) == 4) {
    const __m256i mask = lane_mask<int32_t>(range);
    const __m256i loaded = _mm256_maskload_epi32(reinterpret_cast<const int*>(from), mask);
    return (Vector<T>)_mm256_blendv_epi8((__m256i)splat(fill), loaded, mask);
  }
  if constexpr (sizeof(T) == 8) {
    const __m256i mask = lane_mask<int64_t>(range);
    const __m256i loaded = _mm256_maskload_epi64(reinterpret_cast<const long long*>(from), mask);
    return (Vector<T>)_mm256_blendv_epi8((__m256i)splat(fill), loaded, mask);
  }
#endif
  T part[lanes<T>];
  store(part, splat(fill));
  const auto& [begin, end] = range;
  if (begin < end) std::memcpy(part + begin, from + begin, (end - begin) * sizeof(T));
  return load(part);
}

template <class T>
VOXPOOL_INLINE void store_range(T* to, Vector<T> v, const LaneRange<lanes<T>>& range) {
#ifdef __AVX2__
  if constexpr (sizeof(T) == 4) {
    return _mm256_maskstore_epi32(reinterpret_cast<int*>(to), lane_mask<int32_t>(range), (__m256i)v);
  }
  if constexpr (sizeof(T) == 8) {
    return _mm256_maskstore_epi64(reinterpret_cast<long long*>(to), lane_mask<int64_t>(range), (__m256i)v);
  }
#endif
  T part[lanes<T>];
  store(part, v);
  const auto& [begin, end] = range;
  if (begin < end) std::memcpy(to + begin, part + begin, (end - begin) * sizeof(T));
}

#endif

}  // namespace
}  // namespace voxpool::cpu::VOXPOOL_UNIT
