#pragma once

#include "core/element.h"
#include "cuda/kernels/convert.h"

// The running maximum of a window in a thread's registers.
namespace voxpool::cuda {

// What a forward kernel computes: only values, or also where they are.
enum class Keep { values, taps };

// The form in which elements of type T are compared: as they are.
template <class T>
struct Comparable {
  using Value = T;
  static VOXPOOL_DEVICE Value load(T x) { return x; }
  static VOXPOOL_DEVICE T store(Value x) { return x; }
  static VOXPOOL_DEVICE Value lowest() { return voxpool::lowest<T>(); }
  static VOXPOOL_DEVICE bool wins(Value x, Value best) { return voxpool::wins(x, best); }
};

// 16-bit floats as float, which keeps their order and the sign of zero. Any NaN will do for a NaN.
template <class T>
requires is_half<T>
struct Comparable<T> {
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
  using Element = Comparable<T>;
  typename Element::Value value;

  static VOXPOOL_DEVICE Maximum none(uint32_t) { return {Element::lowest()}; }

  VOXPOOL_DEVICE void take(typename Element::Value x, uint32_t) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
    // Of a 16-bit maximum without its tap, either zero will do: the processor's own maximum.
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
  using Element = Comparable<T>;
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
