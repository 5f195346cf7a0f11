#pragma once

#include <cstring>

#include "cpu/simd/vector.h"

#ifdef __SSE2__
#include <immintrin.h>
#endif

// Stores that go past the caches: a line that is written as a whole is not read from memory first.
namespace voxpool::cpu::VOXPOOL_UNIT {
namespace {

constexpr int64_t line_bytes = 64;

// Both addresses are those of a line.
VOXPOOL_INLINE void stream_line(char* to, const char* from) {
#if defined(__AVX512F__)
  _mm512_stream_si512(reinterpret_cast<__m512i*>(to), _mm512_load_si512(from));
#elif defined(__AVX2__)
  for (int i = 0; i < line_bytes; i += 32) {
    const __m256i half = _mm256_load_si256(reinterpret_cast<const __m256i*>(from + i));
    _mm256_stream_si256(reinterpret_cast<__m256i*>(to + i), half);
  }
#elif defined(__SSE2__)
  for (int i = 0; i < line_bytes; i += 16) {
    const __m128i quarter = _mm_load_si128(reinterpret_cast<const __m128i*>(from + i));
    _mm_stream_si128(reinterpret_cast<__m128i*>(to + i), quarter);
  }
#else
  std::memcpy(to, from, line_bytes);
#endif
}

// Makes the lines visible to other threads before whatever this one stores afterwards.
VOXPOOL_INLINE void finish_stream() {
#if defined(__SSE2__)
  _mm_sfence();
#endif
}

}  // namespace
}  // namespace voxpool::cpu::VOXPOOL_UNIT
