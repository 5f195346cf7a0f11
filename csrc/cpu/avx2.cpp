#define VOXPOOL_UNIT avx2

namespace voxpool::cpu::avx2 {
constexpr int vector_bytes = 32;
}

#include "cpu/kernels/unit.h"
