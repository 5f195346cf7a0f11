#pragma once

#include <cstddef>
#include <cstdint>

// The scratch of the kernels, which they ask of the aligned operator new: in a program that links scratch_memory.cpp
// each block lies next to a guard page, at either end in turn, full of bytes that are no zeros.
namespace voxpool::testing {

struct ScratchMemory {
  size_t blocks = 0;  // that are there now
  size_t bytes = 0;
  size_t most_bytes = 0;  // that were there at a time
  // How many more requests succeed; the one after them throws std::bad_alloc, and the ones behind it succeed again.
  size_t until_failure = SIZE_MAX;
};

ScratchMemory& scratch_memory();

}  // namespace voxpool::testing
