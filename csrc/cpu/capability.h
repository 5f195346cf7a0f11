#pragma once

#include <string_view>
#include <vector>

namespace voxpool::cpu {

// Instruction sets the kernels are compiled for. avx2 means AVX2 + FMA + F16C; avx512 means F + BW + DQ + VL on top.
enum class Capability { baseline, avx2, avx512 };

std::string_view name_of(Capability capability);

// Those that this build contains, lowest first.
const std::vector<Capability>& built_capabilities();

// Those of them that this processor can run.
const std::vector<Capability>& available_capabilities();

// The one in use: the highest available, unless VOXPOOL_CPU_CAPABILITY or set_capability chose another.
// Throws std::invalid_argument, naming the available ones, if the environment variable names none of them.
Capability capability();

// Takes effect for calls that start afterwards, in every thread. Throws std::invalid_argument, naming the available
// ones, for a name that is none of them.
void set_capability(std::string_view name);

}  // namespace voxpool::cpu
