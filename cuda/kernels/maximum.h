#pragma once

#include <bit>

#include "core/element.h"
#include "cuda/kernels/convert.h"

// The running maximum of a window in a thread's registers.
namespace voxpool::cuda {

// What a forward kernel computes: only values, or also where they are.
enum class Keep { values, taps };

// The form in which elements of type T are compared: as they are.
template <class T, Keep keep>
struct Comparable {
  using Value = T;
  static VOXPOOL_DEVICE Value load(T x) { return x; }
  static VOXPOOL_DEVICE T store(Value x) { return x; }
  static VOXPOOL_DEVICE Value lowest() { return voxpool::lowest<T>(); }
  static VOXPOOL_DEVICE bool wins(Value x, Value best) { return voxpool::wins(x, best); }
};

// 16-bit floats whose bits must survive: as the upper half of a float. Floats are ordered by their bits whatever the
// width of the exponent, so only NaN is told by a bound of its own: of bfloat16 it is a NaN of float too, of float16
// any magnitude beyond infinity's.
template <class T>
requires is_half<T>
struct Comparable<T, Keep::taps> {
  using Value = float;
  static VOXPOOL_DEVICE Value lift(uint16_t bits) { return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16); }
  static VOXPOOL_DEVICE Value load(T x) { return lift(x.bits); }
  static VOXPOOL_DEVICE T store(Value x) { return {static_cast<uint16_t>(std::bit_cast<uint32_t>(x) >> 16)}; }
  static VOXPOOL_DEVICE Value lowest() { return load(voxpool::lowest<T>()); }
  static VOXPOOL_DEVICE bool is_number(Value x) {
    return std::bit_cast<float>(std::bit_cast<uint32_t>(x) & 0x7fffffffu) <= lift(T::infinity);
  }
  static VOXPOOL_DEVICE bool wins(Value x, Value best) { return !is_number(x) || (x > best && is_number(best)); }
};

// 16-bit floats of which only the number counts: either zero and any NaN will do, so the processor's own maximum does.
template <class T>
requires is_half<T>
struct Comparable<T, Keep::values> {
  using Value = float;
  static VOXPOOL_DEVICE Value load(T x) { return to_sum(x); }
  // The value was loaded from 16 bits, so nothing is rounded.
  static VOXPOOL_DEVICE T store(Value x) { return from_sum<T>(x); }
  static VOXPOOL_DEVICE Value lowest() { return voxpool::lowest<float>(); }
  static VOXPOOL_DEVICE bool wins(Value x, Value best) { return voxpool::wins(x, best); }
};

// A maximum, with the code of its tap where taps are kept. Codes are compared by nobody: taps are met in ascending
// order, so the first of equal maxima and the last NaN stay.
template <class T, Keep keep>
struct Maximum;

template <class T>
struct Maximum<T, Keep::values> {
  using Element = Comparable<T, Keep::values>;
  typename Element::Value value;

  static VOXPOOL_DEVICE Maximum none(uint32_t) { return {Element::lowest()}; }

  VOXPOOL_DEVICE void take(typename Element::Value x, uint32_t) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
    if constexpr (is_half<T>) {
      asm("max.NaN.f32 %0, %1, %2;" : "=f"(value) : "f"(value), "f"(x));
      return;
    }
#endif
    value = Element::wins(x, value) ? x : value;
  }
  VOXPOOL_DEVICE void take(const Maximum& later, uint32_t) { take(later.value, 0); }

  VOXPOOL_DEVICE T element() const { return Element::store(value); }
  // Zero unless the maximum is above it, or NaN.
  VOXPOOL_DEVICE void rectify(uint32_t) {
    const auto zero = Element::load(T{});
    value = Element::wins(value, zero) ? value : zero;
  }
};

template <class T>
struct Maximum<T, Keep::taps> {
  using Element = Comparable<T, Keep::taps>;
  typename Element::Value value;
  uint32_t code;

  // Before any tap: `code` is that of the first tap inside the input, which stands if nothing is greater than lowest.
  static VOXPOOL_DEVICE Maximum none(uint32_t code) { return {Element::lowest(), code}; }

  VOXPOOL_DEVICE void take(typename Element::Value x, uint32_t x_code) {
    const bool better = Element::wins(x, value);
    value = better ? x : value;
    code = better ? x_code : code;
  }
  // `later` was reduced on its own; `offset` is what its codes lack.
  VOXPOOL_DEVICE void take(const Maximum& later, uint32_t offset) { take(later.value, later.code + offset); }

  VOXPOOL_DEVICE T element() const { return Element::store(value); }
  VOXPOOL_DEVICE void rectify(uint32_t no_tap) {
    const auto zero = Element::load(T{});
    if (Element::wins(value, zero)) return;
    value = zero;
    code = no_tap;
  }
};

}  // namespace voxpool::cuda
