#pragma once

#include <cstring>

#ifdef __SSE2__
#include <immintrin.h>
#endif

#include "cpu/simd/partial.h"

// Stores that go past the caches: a line of memory that is written as a whole is not read first. It may be written in
// parts of 16 bytes, if they follow each other closely: where rows lie one behind the other, all lines but the
// outermost are whole in the end.
namespace voxpool::cpu::VOXPOOL_UNIT {
namespace {

// Where results go. Past the caches, rows consist of whole vectors, each on a multiple of its size, or of parts.
enum class Stores { cached, vectors, parts };

constexpr int64_t part_bytes = 16;

// How to store rows: `to` is where the first begins, the others are `distances` from it and from each other, in bytes.
// Their length is to be among the distances.
template <class... Bytes>
Stores stream_stores(const void* to, Bytes... distances) {
  const auto multiple_of = [&](int64_t bytes) {
    return reinterpret_cast<uintptr_t>(to) % static_cast<uintptr_t>(bytes) == 0 && ((distances % bytes == 0) && ...);
  };
  return multiple_of(vector_bytes) ? Stores::vectors : multiple_of(part_bytes) ? Stores::parts : Stores::cached;
}

VOXPOOL_INLINE void stream_part(char* to, const char* from) {
#if defined(__SSE2__)
  _mm_stream_si128(reinterpret_cast<__m128i*>(to), _mm_loadu_si128(reinterpret_cast<const __m128i*>(from)));
#else
  std::memcpy(to, from, part_bytes);
#endif
}

// The first `bytes` of v, a multiple of part_bytes.
template <class V>
VOXPOOL_INLINE void stream_first(void* to, V v, int64_t bytes) {
  alignas(sizeof v) char all[sizeof v];
  std::memcpy(all, &v, sizeof v);
  for (int64_t i = 0; i < bytes; i += part_bytes) stream_part(static_cast<char*>(to) + i, all + i);
}

// A whole vector, on a multiple of its size.
template <class V>
VOXPOOL_INLINE void stream(void* to, V v) {
#if defined(__AVX512F__)
  if constexpr (sizeof v == 64) return _mm512_stream_si512(static_cast<__m512i*>(to), (__m512i)v);
#endif
#if defined(__AVX2__)
  if constexpr (sizeof v == 32) return _mm256_stream_si256(static_cast<__m256i*>(to), (__m256i)v);
#endif
  stream_first(to, v, sizeof v);
}

// A whole vector, in as few parts as its address allows.
template <class V>
VOXPOOL_INLINE void stream_parts(void* to, V v) {
#if defined(__AVX2__)
  const auto address = reinterpret_cast<uintptr_t>(to);
  if (address % sizeof v == 0) return stream(to, v);
#if defined(__AVX512F__)
  if constexpr (sizeof v == 64) {
    if (address % 32 == 0) {
      __m256i* const halves = static_cast<__m256i*>(to);
      _mm256_stream_si256(halves, _mm512_castsi512_si256((__m512i)v));
      return _mm256_stream_si256(halves + 1, _mm512_extracti64x4_epi64((__m512i)v, 1));
    }
  }
#endif
#endif
  stream_first(to, v, sizeof v);
}

// All of v.
template <class T, class V>
VOXPOOL_INLINE void store_all(T* to, V v, Stores stores) {
  if (stores == Stores::cached) {
    std::memcpy(to, &v, sizeof v);
  } else if (stores == Stores::vectors) {
    stream(to, v);
  } else {
    stream_parts(to, v);
  }
}

// The first `count` lanes of v, or all.
template <class T>
VOXPOOL_INLINE void store_first(T* to, Vector<T> v, int64_t count, Stores stores) {
  constexpr int n = lanes<T>;
  if (count >= n) {
    store_all(to, v, stores);
  } else if (stores == Stores::cached) {
    store_range(to, v, LaneRange<n>(0, count));
  } else {
    stream_first(to, v, count * static_cast<int64_t>(sizeof(T)));
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
