#define VOXPOOL_UNIT avx512

namespace voxpool::cpu::avx512 {
constexpr int vector_bytes = 64;
}

#include "cpu/kernels/unit.h"
