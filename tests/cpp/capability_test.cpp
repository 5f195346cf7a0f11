#include "cpu/capability.h"

#include <gtest/gtest.h>

#include <cstdlib>

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
