#pragma once

#include <cstddef>
#include <cstdint>

#include "core/portability.h"

namespace voxpool {

enum class ScalarType : uint8_t { u8, i8, i16, i32, i64, f16, bf16, f32, f64 };

VOXPOOL_INLINE constexpr size_t size_of(ScalarType type) {
  switch (type) {
    case ScalarType::u8:
    case ScalarType::i8:
      return 1;
    case ScalarType::i16:
    case ScalarType::f16:
    case ScalarType::bf16:
      return 2;
    case ScalarType::i32:
    case ScalarType::f32:
      return 4;
    case ScalarType::i64:
    case ScalarType::f64:
      return 8;
  }
  return 0;
}

}  // namespace voxpool
