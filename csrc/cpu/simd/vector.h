#pragma once

#include <cstdint>
#include <cstring>
#include <utility>

#include "core/portability.h"

// Vectors of lanes for one instruction set. A unit defines VOXPOOL_UNIT, its namespace, and `vector_bytes` in it before
// including anything of simd/ or kernels/; all of it has internal linkage, so that no two units share a function.
// The compiler's vector extension gives arithmetic, comparisons and `mask ? a : b` good code on every target.
namespace voxpool::cpu::VOXPOOL_UNIT {
namespace {

template <class T>
struct VectorOf {
  typedef T type __attribute__((vector_size(vector_bytes)));
};

template <class T>
using Vector = typename VectorOf<T>::type;

template <class T>
constexpr int lanes = vector_bytes / static_cast<int>(sizeof(T));

template <class T>
VOXPOOL_INLINE Vector<T> load(const T* from) {
  Vector<T> v;
  std::memcpy(&v, from, sizeof v);
  return v;
}

template <class T>
VOXPOOL_INLINE void store(T* to, Vector<T> v) {
  std::memcpy(to, &v, sizeof v);
}

// Keeps v in a register: the compiler would rather load it again for each instruction that can read memory, where loads
// are what limits.
template <class V>
VOXPOOL_INLINE void hold([[maybe_unused]] V& v) {
#if defined(__AVX512F__)
  asm("" : "+v"(v));
#elif defined(__SSE2__)
  asm("" : "+x"(v));
#endif
}

template <class T>
VOXPOOL_INLINE Vector<T> splat(T x) {
  return x - Vector<T>{};
}

template <class T>
VOXPOOL_INLINE void prefetch(const T* address, int64_t bytes_ahead) {
  __builtin_prefetch(reinterpret_cast<const char*>(address) + bytes_ahead, 0, 2);
}

template <int first, class T, int... j>
VOXPOOL_INLINE Vector<T> shift_pair(Vector<T> x, Vector<T> y, std::integer_sequence<int, j...>) {
  return __builtin_shufflevector(x, y, (first + j)...);
}

// Elements [first, first + lanes) of two vectors that follow each other.
template <class T, int first>
VOXPOOL_INLINE Vector<T> across_two(Vector<T> x, Vector<T> y) {
  return shift_pair<first, T>(x, y, std::make_integer_sequence<int, lanes<T>>());
}

// Element i of `stride` consecutive vectors that lands in lane j of phase r is i = j * stride + r. The phase is built
// up vector by vector: `j` keeps what is already in place.
template <int stride, int r, class T, int... j>
VOXPOOL_INLINE Vector<T> gather_phase(const Vector<T> (&v)[stride], std::integer_sequence<int, j...>) {
  constexpr int n = lanes<T>;
  Vector<T> out = v[0];
  if constexpr (stride > 1) out = __builtin_shufflevector(v[0], v[1], (j * stride + r < 2 * n ? j * stride + r : j)...);
  if constexpr (stride > 2) {
    out = __builtin_shufflevector(out, v[2],
                                  (j * stride + r >= 2 * n && j * stride + r < 3 * n ? j * stride + r - n : j)...);
  }
  if constexpr (stride > 3) {
    out = __builtin_shufflevector(out, v[3], (j * stride + r >= 3 * n ? j * stride + r - 2 * n : j)...);
  }
  return out;
}

// Every stride-th element of `stride` consecutive vectors, from element r on.
template <class T, int r, int stride>
VOXPOOL_INLINE Vector<T> phase(const Vector<T> (&v)[stride]) {
  static_assert(stride >= 1 && stride <= 4);
  return gather_phase<stride, r, T>(v, std::make_integer_sequence<int, lanes<T>>());
}

// The inverse: vector k of the `stride` vectors whose elements are v[0][0], v[1][0], ..., v[0][1], v[1][1], ...
template <int stride, int k, class T, int... j>
VOXPOOL_INLINE Vector<T> weave_phases(const Vector<T> (&v)[stride], std::integer_sequence<int, j...>) {
  constexpr int n = lanes<T>;
  Vector<T> out = v[0];
  if constexpr (stride > 1) {
    out = __builtin_shufflevector(v[0], v[1], ((k * n + j) / stride + ((k * n + j) % stride == 1 ? n : 0))...);
  }
  if constexpr (stride > 2) {
    out = __builtin_shufflevector(out, v[2], ((k * n + j) % stride == 2 ? n + (k * n + j) / stride : j)...);
  }
  if constexpr (stride > 3) {
    out = __builtin_shufflevector(out, v[3], ((k * n + j) % stride == 3 ? n + (k * n + j) / stride : j)...);
  }
  return out;
}

template <class T, int k, int stride>
VOXPOOL_INLINE Vector<T> weave(const Vector<T> (&v)[stride]) {
  static_assert(stride >= 1 && stride <= 4);
  return weave_phases<stride, k, T>(v, std::make_integer_sequence<int, lanes<T>>());
}

}  // namespace
}  // namespace voxpool::cpu::VOXPOOL_UNIT
