#pragma once

#include <cstring>

#ifdef __SSE2__
#include <immintrin.h>
#endif

#include "cpu/simd/partial.h"

// Stores that go past the caches: a line of memory that is written as a whole is not read first. It may be written in
// halves, if they follow each other closely: where rows of halves lie one behind the other, all lines but the outermost
// are whole in the end.
namespace voxpool::cpu::VOXPOOL_UNIT {
namespace {

enum class Stores { cached, past_caches };

constexpr int64_t half_line = 32;

// How to store rows: `to` is where the first begins, the others are `distances` from it and from each other, in bytes.
// Their length is to be among the distances.
template <class... Bytes>
Stores stream_stores(const void* to, Bytes... distances) {
  const bool halves = reinterpret_cast<uintptr_t>(to) % half_line == 0 && ((distances % half_line == 0) && ...);
  return halves ? Stores::past_caches : Stores::cached;
}

// A vector of `bytes` or less, a half of it or the whole.
template <class V>
VOXPOOL_INLINE void stream(void* to, V v, [[maybe_unused]] int64_t bytes = sizeof(V)) {
#if defined(__AVX512F__)
  if constexpr (sizeof v == 64) {
    __m256i* const halves = static_cast<__m256i*>(to);
    _mm256_stream_si256(halves, _mm512_castsi512_si256((__m512i)v));
    if (bytes > half_line) _mm256_stream_si256(halves + 1, _mm512_extracti64x4_epi64((__m512i)v, 1));
    return;
  }
#endif
#if defined(__AVX2__)
  if constexpr (sizeof v == 32) return _mm256_stream_si256(static_cast<__m256i*>(to), (__m256i)v);
#endif
#if defined(__SSE2__)
  if constexpr (sizeof v == 16) return _mm_stream_si128(static_cast<__m128i*>(to), (__m128i)v);
#endif
  std::memcpy(to, &v, sizeof v);
}

// The first `count` lanes of v, or all.
template <class T>
VOXPOOL_INLINE void store_first(T* to, Vector<T> v, int64_t count, Stores stores) {
  constexpr int n = lanes<T>;
  if (stores == Stores::past_caches) {
    stream(to, v, count * static_cast<int64_t>(sizeof(T)));
  } else if (count >= n) {
    store(to, v);
  } else {
    store_range(to, v, LaneRange<n>(0, count));
  }
}

// Makes what was streamed visible to other threads before whatever this one stores afterwards.
VOXPOOL_INLINE void finish_stream() {
#if defined(__SSE2__)
  _mm_sfence();
#endif
}

}  // namespace
}  // namespace voxpool::cpu::VOXPOOL_UNIT
