#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstring>
#include <stdexcept>

namespace voxpool::testing {

// Memory between two inaccessible pages. The contents end right at the second one, or begin right after the first, so
// that a read or write past that side stops the test program.
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

}  // namespace voxpool::testing
