#include "cpu/streaming.h"

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <cstring>

namespace voxpool::testing {
namespace {

// Memory that the system has promised, and not given yet.
class FreshMemory {
 public:
  explicit FreshMemory(int64_t bytes)
      : bytes_(bytes), memory_(mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)) {
    madvise(memory_, bytes, MADV_NOHUGEPAGE);  // or the first touch of what lies next to it brings it too
  }
  ~FreshMemory() { munmap(memory_, bytes_); }
  FreshMemory(const FreshMemory&) = delete;
  FreshMemory& operator=(const FreshMemory&) = delete;

  void* data() const { return memory_; }
  int64_t bytes() const { return bytes_; }
  void use() { std::memset(memory_, 1, bytes_); }

 private:
  const int64_t bytes_;
  void* const memory_;
};

constexpr Axis axis{64, 32, 2, 2, 0, 1};
const Geometry geometry{1, 1, {axis, axis, axis}};
constexpr int64_t outputs = int64_t{32} * 32 * 32, inputs = int64_t{64} * 64 * 64;

TEST(Streaming, MemoryIsResidentOnceItWasUsed) {
  FreshMemory memory(1 << 20);
  EXPECT_FALSE(cpu::is_resident(memory.data(), memory.bytes()));
  std::memset(memory.data(), 1, memory.bytes() / 2 + 1);
  EXPECT_FALSE(cpu::is_resident(memory.data(), memory.bytes()));  // its end is still new
  memory.use();
  EXPECT_TRUE(cpu::is_resident(memory.data(), memory.bytes()));
  EXPECT_FALSE(cpu::is_resident(memory.data(), 0));
}

TEST(Streaming, ResultsThatStayInTheCachesAreNotStreamed) {
  FreshMemory memory(outputs * sizeof(float));
  memory.use();
  Forward p{};
  p.geometry = geometry;
  p.dtype = ScalarType::f32;
  p.output = memory.data();
  EXPECT_FALSE(cpu::worth_streaming(p, 2 * cpu::last_level_bytes() - 1));
  EXPECT_TRUE(cpu::worth_streaming(p, 2 * cpu::last_level_bytes()));
}

TEST(Streaming, NewIndicesAreNotStreamed) {
  FreshMemory output(outputs * sizeof(float)), indices(outputs * sizeof(int64_t));
  output.use();
  Forward p{};
  p.geometry = geometry;
  p.dtype = ScalarType::f32;
  p.output = output.data();
  p.indices = static_cast<int64_t*>(indices.data());
  EXPECT_FALSE(cpu::worth_streaming(p, 2 * cpu::last_level_bytes()));
  indices.use();
  EXPECT_TRUE(cpu::worth_streaming(p, 2 * cpu::last_level_bytes()));
}

TEST(Streaming, ANewGradientIsNotStreamed) {
  FreshMemory memory(inputs * sizeof(double));
  Backward p{};
  p.geometry = geometry;
  p.dtype = ScalarType::f64;
  p.grad_input = memory.data();
  EXPECT_FALSE(cpu::worth_streaming(p, 2 * cpu::last_level_bytes()));
  memory.use();
  EXPECT_FALSE(cpu::worth_streaming(p, 2 * cpu::last_level_bytes() - 1));
  EXPECT_TRUE(cpu::worth_streaming(p, 2 * cpu::last_level_bytes()));
}

}  // namespace
}  // namespace voxpool::testing
