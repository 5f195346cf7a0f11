#include "scratch_memory.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <mutex>
#include <new>

#include "guarded_buffer.h"

namespace voxpool::testing {
namespace {

struct Block {
  std::unique_ptr<GuardedBuffer> memory;
  size_t bytes;
};

// Kernels ask for scratch on many threads.
std::mutex& one_at_a_time() {
  static std::mutex mutex;
  return mutex;
}

std::map<void*, Block>& blocks() {
  static std::map<void*, Block> all;
  return all;
}

}  // namespace

ScratchMemory& scratch_memory() {
  static ScratchMemory state;
  return state;
}

}  // namespace voxpool::testing

void* operator new(size_t bytes, std::align_val_t alignment) {
  using namespace voxpool::testing;
  const std::lock_guard lock(one_at_a_time());
  ScratchMemory& state = scratch_memory();
  if (state.until_failure == 0) {
    state.until_failure = SIZE_MAX;
    throw std::bad_alloc();
  }
  if (state.until_failure != SIZE_MAX) --state.until_failure;

  // What ends at a page begins at an aligned address only if whole lines are asked for.
  if (bytes % static_cast<size_t>(alignment) != 0) std::abort();
  static uint32_t count = 0;
  auto memory = std::make_unique<GuardedBuffer>(bytes, flush_of(++count, 0));
  void* const data = memory->as<void>();
  blocks()[data] = {std::move(memory), bytes};
  ++state.blocks;
  state.bytes += bytes;
  state.most_bytes = std::max(state.most_bytes, state.bytes);
  return data;
}

void operator delete(void* data, std::align_val_t) noexcept {
  using namespace voxpool::testing;
  const std::lock_guard lock(one_at_a_time());
  const auto block = blocks().find(data);
  if (block == blocks().end() || !block->second.memory->canaries_alive()) {
    std::fputs("scratch memory was overwritten, or deleted twice\n", stderr);
    std::abort();
  }
  --scratch_memory().blocks;
  scratch_memory().bytes -= block->second.bytes;
  blocks().erase(block);
}

void operator delete(void* data, size_t, std::align_val_t alignment) noexcept { operator delete(data, alignment); }
