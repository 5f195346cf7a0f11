#pragma once

#include <bit>
#include <cstdint>

#include "cuda/launch.h"

namespace voxpool::cuda {

// Elements that move together, aligned to their size, 16 bytes at most.
template <class T, int count>
struct alignas(sizeof(T) * count < 16 ? sizeof(T) * count : 16) Pack {
  T at[count];
};

template <int bytes>
struct Word;
template <>
struct Word<1> {
  using type = uint8_t;
};
template <>
struct Word<2> {
  using type = uint16_t;
};
template <>
struct Word<4> {
  using type = uint32_t;
};
#if defined(__CUDACC__)
template <>
struct Word<8> {
  using type = uint2;
};
template <>
struct Word<16> {
  using type = uint4;
};
#endif

// `address` is aligned to the pack. nvcc moves a struct member by member, so the pack travels as one word, through the
// read-only cache.
template <int count, class T>
VOXPOOL_DEVICE Pack<T, count> load(const T* address) {
#if defined(__CUDACC__)
  using Bits = typename Word<sizeof(T) * count>::type;
  return std::bit_cast<Pack<T, count>>(__ldg(reinterpret_cast<const Bits*>(address)));
#else
  return *reinterpret_cast<const Pack<T, count>*>(address);
#endif
}

template <int count, class T>
VOXPOOL_DEVICE void store(T* address, const Pack<T, count>& pack) {
#if defined(__CUDACC__)
  // More than 16 bytes, such as eight indices, go in several words.
  constexpr int most = 16 / static_cast<int>(sizeof(T));
  constexpr int step = count < most ? count : most;
  using Bits = typename Word<sizeof(T) * step>::type;
  VOXPOOL_UNROLL
  for (int i = 0; i < count; i += step) {
    Pack<T, step> part;
    VOXPOOL_UNROLL
    for (int j = 0; j < step; ++j) part.at[j] = pack.at[i + j];
    *reinterpret_cast<Bits*>(address + i) = std::bit_cast<Bits>(part);
  }
#else
  *reinterpret_cast<Pack<T, count>*>(address) = pack;
#endif
}

template <int count, class T>
VOXPOOL_DEVICE Pack<T, count> splat(T value) {
  if constexpr (sizeof(T) == 2 && count % 2 == 0) {
    // In whole registers: nvcc would put each together from halves.
    const uint32_t word = std::bit_cast<uint16_t>(value) * 0x10001u;
    return std::bit_cast<Pack<T, count>>(splat<count / 2>(word));
  } else {
    Pack<T, count> pack;
    VOXPOOL_UNROLL
    for (int i = 0; i < count; ++i) pack.at[i] = value;
    return pack;
  }
}

// The pack at `address` + `offset` where `inside`, of which nothing else is read; `otherwise` in all elements
// elsewhere.
template <int count, class T>
VOXPOOL_DEVICE Pack<T, count> load_if(bool inside, const T* address, uint32_t offset, T otherwise) {
#if defined(__CUDACC__)
  // Chosen word by word: nvcc would choose between elements of two bytes one by one.
  using Bits = typename Word<sizeof(T) * count>::type;
  Bits bits = std::bit_cast<Bits>(splat<count>(otherwise));
  if (inside) bits = __ldg(reinterpret_cast<const Bits*>(address + offset));
  return std::bit_cast<Pack<T, count>>(bits);
#else
  return inside ? load<count>(address + offset) : splat<count>(otherwise);
#endif
}

// Has the address computed here, once: nvcc would rather add its parts again for every load.
template <class T>
VOXPOOL_DEVICE T* settled(T* address) {
#if defined(__CUDA_ARCH__)
  asm("" : "+l"(address));
  __builtin_assume(__isGlobal(address));  // what the line above hid
#endif
  return address;
}

}  // namespace voxpool::cuda
