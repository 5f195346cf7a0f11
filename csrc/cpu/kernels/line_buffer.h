#pragma once

#include "cpu/kernels/scratch.h"
#include "cpu/simd/stream.h"

namespace voxpool::cpu::VOXPOOL_UNIT {
namespace {

// Rows on their way to memory past the caches. Rows that lie behind each other are collected in a few KiB, as far from
// the beginning of a line as they will be in memory, and leave in whole lines. The lines at either end of such a run
// may belong to somebody else in part, and are stored as usual.
class LineBuffer {
 public:
  LineBuffer() = default;
  static int64_t bytes(int64_t longest_row) { return Scratch::bytes_for<char>(collected + line_bytes + longest_row); }
  LineBuffer(int64_t longest_row, Scratch& scratch) : rows_(scratch.take<char>(collected + line_bytes + longest_row)) {}

  // Where to write the `count` elements that belong at `to`, before the next call.
  template <class T>
  VOXPOOL_INLINE T* take(T* to, int64_t count) {
    char* const target = reinterpret_cast<char*>(to);
    if (target != line_ + end_) {
      finish();
      begin_ = end_ = static_cast<int64_t>(reinterpret_cast<uintptr_t>(target) % line_bytes);
      line_ = target - begin_;
    } else if (end_ >= collected) {
      write_lines();
    }
    T* const row = reinterpret_cast<T*>(rows_ + end_);
    end_ += count * static_cast<int64_t>(sizeof(T));
    return row;
  }

  void finish() {
    if (end_ >= line_bytes) write_lines();
    if (end_ > begin_) std::memcpy(line_ + begin_, rows_ + begin_, static_cast<size_t>(end_ - begin_));
    line_ = nullptr;
    begin_ = end_ = 0;
  }

 private:
  // Enough for the processor to combine lines, and little enough to stay in the first-level cache.
  static constexpr int64_t collected = 4096;

  void write_lines() {
    const int64_t whole = end_ / line_bytes * line_bytes;
    int64_t i = 0;
    if (begin_ > 0) {
      std::memcpy(line_ + begin_, rows_ + begin_, static_cast<size_t>(line_bytes - begin_));
      i = line_bytes;
    }
    for (; i < whole; i += line_bytes) stream_line(line_ + i, rows_ + i);
    std::memcpy(rows_, rows_ + whole, line_bytes);
    line_ += whole;
    end_ -= whole;
    begin_ = 0;
  }

  char* rows_ = nullptr;
  char* line_ = nullptr;  // where rows_[0] belongs, the beginning of a line
  int64_t begin_ = 0;     // what is there
  int64_t end_ = 0;
};

}  // namespace
}  // namespace voxpool::cpu::VOXPOOL_UNIT
