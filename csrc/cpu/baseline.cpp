#define VOXPOOL_UNIT baseline

namespace voxpool::cpu::baseline {
constexpr int vector_bytes = 16;
}

#include "cpu/kernels/unit.h"
