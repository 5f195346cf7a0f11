#pragma once

#include <cstdint>

#include "core/problem.h"

namespace voxpool::cpu {

// Whether the results of a problem that reads and writes `bytes` should be written past the caches, which saves reading
// the lines that are written. Of what passes through the last level, about the last of its size stays there for whoever
// reads the results next: from twice that size on less than half of them, whereas all of them are saved one reading.
// Only into memory that has been used: the system clears new pages as they are touched, and what it has cleared is at
// hand.
bool worth_streaming(const Forward& problem, int64_t bytes);
bool worth_streaming(const Backward& problem, int64_t bytes);

// The third level of the first processor's caches, 32 MiB where the system does not tell.
int64_t last_level_bytes();

// Whether the pages at the beginning, in the middle and at the end of some memory are there.
bool is_resident(const void* memory, int64_t bytes);

}  // namespace voxpool::cpu
