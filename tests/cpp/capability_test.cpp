#include "cpu/capability.h"

#include <gtest/gtest.h>

#include <array>
#include <cstdlib>
#include <string>

#include "cpu/kernel_table.h"

namespace voxpool::testing {
namespace {

TEST(Capability, BaselineIsAlwaysAvailableAndFirst) {
  ASSERT_FALSE(cpu::available_capabilities().empty());
  EXPECT_EQ(cpu::available_capabilities().front(), cpu::Capability::baseline);
}

// What `make emulate` reads: which instruction set is chosen on a processor it made up.
TEST(Capability, TheHighestAvailableOneIsChosen) {
  if (std::getenv("VOXPOOL_CPU_CAPABILITY") == nullptr) {
    EXPECT_EQ(cpu::capability(), cpu::available_capabilities().back());
  }
  RecordProperty("chosen", std::string(cpu::name_of(cpu::capability())));
}

TEST(Capability, EachAvailableOneCanBeForcedAndRead) {
  const std::string_view before = cpu::name_of(cpu::capability());
  for (const cpu::Capability capability : cpu::available_capabilities()) {
    cpu::set_capability(cpu::name_of(capability));
    EXPECT_EQ(cpu::capability(), capability);
  }
  cpu::set_capability(before);
}

TEST(Capability, AnUnknownNameIsRefusedAndNamesTheAvailableOnes) {
  try {
    cpu::set_capability("sse9");
    FAIL() << "accepted";
  } catch (const std::invalid_argument& error) {
    EXPECT_NE(std::string(error.what()).find("'baseline'"), std::string::npos);
    EXPECT_NE(std::string(error.what()).find("'sse9'"), std::string::npos);
  }
}

TEST(KernelTable, EveryListEndsWithAVariantThatRefusesNothing) {
  const Axis a{1, 1, 2, 2, 1, 2};  // a window without taps, which the fast kernels refuse
  const Geometry g{1, 1, {a, a, a}};
  const Strides odd{7, 5, 3, 3, 2};
  for (const cpu::Capability capability : cpu::available_capabilities()) {
    const cpu::KernelTable& table = cpu::kernel_table(capability);
    const Forward forward{g, ScalarType::f16, tap_code(g), nullptr, odd, nullptr, nullptr, nullptr, odd};
    const Backward backward{g, ScalarType::f16, tap_code(g), nullptr, nullptr, odd, nullptr, odd};
    EXPECT_EQ(table.forward.back()->refusal(forward), nullptr);
    EXPECT_EQ(table.backward.back()->refusal(backward), nullptr);
    EXPECT_STREQ(table.forward.back()->name, "generic");
    EXPECT_NE(table.forward.front()->refusal(forward), nullptr);
    EXPECT_GT(table.forward.size(), 1u);
  }
}

// Of a signal along any axis, tables would be larger than the signal itself; of a volume they are nothing next to it.
TEST(KernelTable, NoKernelKeepsTablesOfASignal) {
  constexpr int64_t length = int64_t{1} << 27;
  const Axis signal{length, length - 2, 3, 1, 0, 1}, one{1, 1, 1, 1, 0, 1}, usual{256, 254, 3, 1, 0, 1};
  const Strides along_d{2 * length, 1, 2, 2, 2}, along_h{2 * length, length, length, 1, 1};
  for (const cpu::Capability capability : cpu::available_capabilities()) {
    const cpu::KernelTable& table = cpu::kernel_table(capability);
    const auto chosen = [&](const Geometry& g, const Strides& strides) {
      const Forward forward{g, ScalarType::f32, tap_code(g), nullptr, strides, nullptr, nullptr, nullptr, strides};
      const Backward backward{g, ScalarType::f32, tap_code(g), nullptr, nullptr, strides, nullptr, strides};
      return std::array<std::string, 2>{cpu::select(table.forward, forward).name,
                                        cpu::select(table.backward, backward).name};
    };
    const std::array<std::string, 2> scalar{"generic", "generic"};
    EXPECT_EQ(chosen({1, 2, {signal, one, one}}, along_d), scalar);
    EXPECT_EQ(chosen({1, 2, {one, signal, one}}, along_h), scalar);
    EXPECT_NE(chosen({1, 2, {usual, usual, usual}}, {1 << 25, 1 << 24, 1 << 16, 256, 1}), scalar);
    // Along w, channels-first, there is nothing to look up.
    EXPECT_NE(chosen({1, 2, {one, one, signal}}, {2 * length, length, length, length, 1}), scalar);
    EXPECT_EQ(chosen({1, 2, {one, one, signal}}, {2 * length, 1, 2 * length, 2 * length, 2}), scalar);
  }
}

// So that testing those of one instruction set is enough.
TEST(KernelTable, GathersAreTheSameForEveryInstructionSet) {
  const cpu::KernelTable& baseline = cpu::kernel_table(cpu::Capability::baseline);
  for (const cpu::Capability capability : cpu::built_capabilities()) {
    const cpu::KernelTable& table = cpu::kernel_table(capability);
    EXPECT_EQ(table.gather.data(), baseline.gather.data());
    EXPECT_EQ(table.tap_indices.data(), baseline.tap_indices.data());
  }
}

}  // namespace
}  // namespace voxpool::testing
