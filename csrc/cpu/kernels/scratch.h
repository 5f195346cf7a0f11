#pragma once

#include <cstdint>
#include <new>

#include "core/portability.h"

namespace voxpool::cpu::VOXPOOL_UNIT {
namespace {

// One aligned block of memory per call of a kernel, handed out front to back. Throws std::bad_alloc, also in the
// threads of a parallel loop, which passes it on.
class Scratch {
 public:
  explicit Scratch(int64_t bytes) : memory_(static_cast<char*>(::operator new (bytes, std::align_val_t{alignment}))) {}
  ~Scratch() { ::operator delete (memory_, std::align_val_t{alignment}); }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

  template <class T>
  VOXPOOL_INLINE T* take(int64_t count) {
    T* taken = reinterpret_cast<T*>(memory_ + used_);
    used_ += bytes_for<T>(count);
    return taken;
  }

  template <class T>
  VOXPOOL_INLINE static constexpr int64_t bytes_for(int64_t count) {
    return (count * static_cast<int64_t>(sizeof(T)) + alignment - 1) / alignment * alignment;
  }

 private:
  static constexpr int64_t alignment = 64;

  char* memory_;
  int64_t used_ = 0;
};

}  // namespace
}  // namespace voxpool::cpu::VOXPOOL_UNIT
