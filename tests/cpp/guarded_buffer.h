#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <stdexcept>

#if __has_include(<valgrind/memcheck.h>)
#include <valgrind/memcheck.h>
#else
#define VALGRIND_MAKE_MEM_NOACCESS(memory, bytes) ((void)(memory), (void)(bytes))
#define VALGRIND_MAKE_MEM_UNDEFINED(memory, bytes) ((void)(memory), (void)(bytes))
#define VALGRIND_MAKE_MEM_DEFINED(memory, bytes) ((void)(memory), (void)(bytes))
#endif

namespace voxpool::testing {

// Memory between two inaccessible pages. The contents end right at the second one, or begin right after the first, so
// that a read or write past that side stops the test program. Under valgrind the rest of the page is inaccessible too,
// and the contents count as uninitialised.
class GuardedBuffer {
 public:
  enum class Flush { begin, end };

  GuardedBuffer(size_t bytes, Flush flush) : page_(sysconf(_SC_PAGESIZE)) {
    inner_ = (bytes + page_ - 1) / page_ * page_;
    void* mapped = mmap(nullptr, inner_ + 2 * page_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mapped == MAP_FAILED) throw std::runtime_error("mmap failed");
    mapped_ = static_cast<char*>(mapped);
    if (inner_ > 0 && mprotect(mapped_ + page_, inner_, PROT_READ | PROT_WRITE) != 0) {
      throw std::runtime_error("mprotect failed");
    }
    data_ = mapped_ + page_ + (flush == Flush::end ? inner_ - bytes : 0);
    std::memset(mapped_ + page_, canary, inner_);
    bytes_ = bytes;
    VALGRIND_MAKE_MEM_NOACCESS(mapped_ + page_, inner_);
    VALGRIND_MAKE_MEM_UNDEFINED(data_, bytes_);
  }
  ~GuardedBuffer() { munmap(mapped_, inner_ + 2 * page_); }
  GuardedBuffer(const GuardedBuffer&) = delete;
  GuardedBuffer& operator=(const GuardedBuffer&) = delete;

  template <class T>
  T* as() {
    return reinterpret_cast<T*>(data_);
  }
  template <class T>
  const T* as() const {
    return reinterpret_cast<const T*>(data_);
  }

  // Whether the rest of the page, on the side without a guard, still holds what it was filled with.
  bool canaries_alive() const {
    VALGRIND_MAKE_MEM_DEFINED(mapped_ + page_, data_ - (mapped_ + page_));
    VALGRIND_MAKE_MEM_DEFINED(data_ + bytes_, mapped_ + page_ + inner_ - (data_ + bytes_));
    for (const char* p = mapped_ + page_; p < mapped_ + page_ + inner_; ++p) {
      if ((p < data_ || p >= data_ + bytes_) && *p != canary) return false;
    }
    return true;
  }

 private:
  static constexpr char canary = 0x5a;
  size_t page_;
  size_t inner_ = 0;
  size_t bytes_ = 0;
  char* mapped_ = nullptr;
  char* data_ = nullptr;
};

// Which side of a test's n-th buffer is guarded: by all bits of a seed whose low ones also pick layouts, so that every
// layout meets both.
inline GuardedBuffer::Flush flush_of(uint32_t seed, uint32_t n) {
  return (seed * 2654435761u + n * 2246822519u) >> 31 == 0 ? GuardedBuffer::Flush::end : GuardedBuffer::Flush::begin;
}

}  // namespace voxpool::testing
