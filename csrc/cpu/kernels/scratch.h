#pragma once

#include <cstdint>
#include <new>

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(address, bytes) ((void)(address), (void)(bytes))
#define ASAN_UNPOISON_MEMORY_REGION(address, bytes) ((void)(address), (void)(bytes))
#endif

#include "core/portability.h"

namespace voxpool::cpu::VOXPOOL_UNIT {
namespace {

// One aligned block of memory per call of a kernel, handed out front to back. Throws std::bad_alloc, also in the
// threads of a parallel loop, which passes it on. The address sanitizer stops at accesses between the parts.
class Scratch {
 public:
  explicit Scratch(int64_t bytes)
      : memory_(static_cast<char*>(::operator new (bytes, std::align_val_t{alignment}))), bytes_(bytes) {
    ASAN_POISON_MEMORY_REGION(memory_, bytes_);
  }
  ~Scratch() {
    ASAN_UNPOISON_MEMORY_REGION(memory_, bytes_);
    ::operator delete (memory_, std::align_val_t{alignment});
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

  template <class T>
  VOXPOOL_INLINE T* take(int64_t count) {
    T* taken = reinterpret_cast<T*>(memory_ + used_);
    ASAN_UNPOISON_MEMORY_REGION(taken, count * static_cast<int64_t>(sizeof(T)));
    used_ += bytes_for<T>(count);
    return taken;
  }

  template <class T>
  VOXPOOL_INLINE static constexpr int64_t bytes_for(int64_t count) {
    return (count * static_cast<int64_t>(sizeof(T)) + alignment - 1) / alignment * alignment + between_parts;
  }

 private:
  static constexpr int64_t alignment = 64;
#ifdef __SANITIZE_ADDRESS__
  static constexpr int64_t between_parts = alignment;
#else
  static constexpr int64_t between_parts = 0;
#endif

  char* memory_;
  int64_t bytes_;
  int64_t used_ = 0;
};

}  // namespace
}  // namespace voxpool::cpu::VOXPOOL_UNIT
