#include "cpu/streaming.h"

#include <unistd.h>

#include <fstream>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace voxpool::cpu {

int64_t last_level_bytes() {
  // sysconf adds up what belongs to other processors: 320 MiB where each has 32.
  static const int64_t size = [] {
    int64_t kib = 0;
    std::ifstream("/sys/devices/system/cpu/cpu0/cache/index3/size") >> kib;
    return (kib > 0 ? kib : int64_t{32} * 1024) * 1024;
  }();
  return size;
}

bool is_resident([[maybe_unused]] const void* memory, [[maybe_unused]] int64_t bytes) {
#if defined(__linux__)
  static const int64_t page = sysconf(_SC_PAGESIZE);
  const auto there = [](const char* address) {
    unsigned char state = 0;
    char* const begin = const_cast<char*>(address) - reinterpret_cast<uintptr_t>(address) % static_cast<size_t>(page);
    return mincore(begin, static_cast<size_t>(page), &state) == 0 && (state & 1) != 0;
  };
  const char* const begin = static_cast<const char*>(memory);
  return bytes > 0 && there(begin) && there(begin + bytes / 2) && there(begin + bytes - 1);
#else
  return false;
#endif
}

bool worth_streaming(const Forward& p, int64_t bytes) {
  if (bytes < 2 * last_level_bytes()) return false;
  const int64_t outputs = p.geometry.batch * p.geometry.channels * p.geometry.output_volume();
  return is_resident(p.output, outputs * static_cast<int64_t>(size_of(p.dtype))) &&
         (p.indices == nullptr || is_resident(p.indices, outputs * static_cast<int64_t>(sizeof(int64_t))));
}

bool worth_streaming(const Backward& p, int64_t bytes) {
  if (bytes < 2 * last_level_bytes()) return false;
  const int64_t inputs = p.geometry.batch * p.geometry.channels * p.geometry.input_volume();
  return is_resident(p.grad_input, inputs * static_cast<int64_t>(size_of(p.dtype)));
}

}  // namespace voxpool::cpu
