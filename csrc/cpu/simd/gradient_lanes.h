#pragma once

#include "core/element.h"
#include "cpu/simd/partial.h"
#include "cpu/simd/stream.h"
#include "cpu/simd/tap_lanes.h"

// Gradients in memory and as the lanes they are added in: 16-bit floats are widened to float and rounded once.
namespace voxpool::cpu::VOXPOOL_UNIT {
namespace {

template <class T>
struct GradientLanes {
  using Lane = T;

  VOXPOOL_INLINE static Vector<Lane> load(const T* from) { return VOXPOOL_UNIT::load(from); }
  VOXPOOL_INLINE static Vector<Lane> load_range(const T* from, const LaneRange<lanes<Lane>>& range) {
    return VOXPOOL_UNIT::load_range(from, range, T{});
  }
  VOXPOOL_INLINE static void store_first(T* to, Vector<Lane> v, int64_t count, Stores stores) {
    VOXPOOL_UNIT::store_first(to, v, count, stores);
  }
};

#if defined(__AVX512BW__)
using HalfVector = __m256i;
#elif defined(__AVX2__)
using HalfVector = __m128i;
#endif

template <int mantissa>
struct GradientLanes<Half<mantissa>> {
  using T = Half<mantissa>;
  using Lane = float;

#if defined(__AVX2__)
  VOXPOOL_INLINE static Vector<float> widen(HalfVector bits) {
#if defined(__AVX512BW__)
    if constexpr (mantissa == 7) return (Vector<float>)_mm512_slli_epi32(_mm512_cvtepu16_epi32(bits), 16);
    return (Vector<float>)_mm512_cvtph_ps(bits);
#else
    if constexpr (mantissa == 7) return (Vector<float>)_mm256_slli_epi32(_mm256_cvtepu16_epi32(bits), 16);
    return (Vector<float>)_mm256_cvtph_ps(bits);
#endif
  }

  VOXPOOL_INLINE static HalfVector narrow(Vector<float> x) {
    if constexpr (mantissa == 7) {
      // Adding half of the last kept bit, less one where that bit is even, rounds ties to even.
      const Vector<uint32_t> bits = (Vector<uint32_t>)x;
      const Vector<uint32_t> rounded = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
      const Vector<uint32_t> kept = (x == x) ? rounded : (bits >> 16) | 0x40;
#if defined(__AVX512BW__)
      return _mm512_cvtepi32_epi16((__m512i)kept);
#else
      const __m256i words = (__m256i)kept;
      return _mm_packus_epi32(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1));
#endif
    }
#if defined(__AVX512BW__)
    return _mm512_cvtps_ph((__m512)x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
#else
    return _mm256_cvtps_ph((__m256)x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
#endif
  }

  VOXPOOL_INLINE static Vector<float> load(const T* from) {
    HalfVector bits;
    std::memcpy(&bits, from, sizeof bits);
    return widen(bits);
  }
#else
  VOXPOOL_INLINE static Vector<float> load(const T* from) {
    float wide[lanes<float>];
    for (int i = 0; i < lanes<float>; ++i) wide[i] = to_float(from[i]);
    return VOXPOOL_UNIT::load(wide);
  }
#endif

#if defined(__AVX512BW__)
  VOXPOOL_INLINE static Vector<float> load_range(const T* from, const LaneRange<lanes<float>>& range) {
    return widen(_mm256_maskz_loadu_epi16(static_cast<__mmask16>(range.bits), from));
  }
#else
  VOXPOOL_INLINE static Vector<float> load_range(const T* from, const LaneRange<lanes<float>>& range) {
    T part[lanes<float>] = {};
    const auto [begin, end] = range;
    if (begin < end) std::memcpy(part + begin, from + begin, (end - begin) * sizeof(T));
    return load(part);
  }
#endif

  VOXPOOL_INLINE static void store_first(T* to, Vector<float> v, int64_t count, Stores stores) {
    constexpr int n = lanes<float>;
#if defined(__AVX2__)
    const HalfVector bits = narrow(v);
#else
    struct {
      T of[n];
    } bits;
    for (int i = 0; i < n; ++i) bits.of[i] = voxpool::narrow<T>(v[i]);
#endif
    if (stores == Stores::past_caches) {
      stream(to, bits);
    } else if (count >= n) {
      std::memcpy(to, &bits, sizeof bits);
    } else {
#if defined(__AVX512BW__)
      _mm256_mask_storeu_epi16(to, static_cast<__mmask16>((1 << count) - 1), bits);
#else
      std::memcpy(to, &bits, static_cast<size_t>(count) * sizeof(T));
#endif
    }
  }
};

// Adds the gradients where the mask is set.
template <class Lane>
VOXPOOL_INLINE void add_where(Vector<Lane>& sum, Mask<Lane> mask, Vector<Lane> gradient) {
#if defined(__AVX512BW__)
  if constexpr (sizeof(Lane) == 4) sum = (Vector<Lane>)_mm512_mask_add_ps(sum, mask, sum, gradient);
  if constexpr (sizeof(Lane) == 8) sum = (Vector<Lane>)_mm512_mask_add_pd(sum, mask, sum, gradient);
#else
  sum = mask ? sum + gradient : sum;
#endif
}

}  // namespace
}  // namespace voxpool::cpu::VOXPOOL_UNIT
