#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "cpu/kernel_table.h"
#include "cpu/memory_order.h"
#include "cpu/tile_plan.h"
#include "runner.h"

// The CPU kernels under test, their work cut into pieces.
namespace voxpool::testing {

// The plan of the variant itself, or the smallest tiles there are: real volumes are cut, and these are too small for
// that.
enum class Tiles { own, smallest };

inline constexpr int64_t smallest_copies = 16 * 1024;

inline Plan plan_of(const Variant<Forward>& variant, const Forward& p, int64_t threads, Tiles tiles) {
  const std::string_view name = variant.name;
  const bool sliding = name.starts_with("sliding");
  if (tiles == Tiles::smallest && (sliding || name.starts_with("separable"))) {
    const Geometry g = cpu::in_memory_order(p).problem.geometry;
    const cpu::Layout layout = name.ends_with("last") ? cpu::Layout::channels_last : cpu::Layout::channels_first;
    return cpu::plan_tiles(g, layout, {sliding ? cpu::Rings{0, 2} : cpu::rings(g), 5}, threads, 64);
  }
  if (tiles == Tiles::smallest && name.starts_with("transposed")) {
    const int64_t bytes = static_cast<int64_t>(size_of(p.dtype));
    const Plan plan = cpu::plan_copies(p.geometry, cpu::Cut::outputs, bytes, threads, smallest_copies);
    if (plan.units > 0) return plan;
  }
  return variant.plan(p, threads);
}

inline Plan plan_of(const Variant<Backward>& variant, const Backward& p, int64_t threads, Tiles tiles) {
  if (tiles == Tiles::smallest && std::string_view(variant.name).starts_with("transposed")) {
    const int64_t bytes = static_cast<int64_t>(size_of(p.dtype));
    const Plan plan = cpu::plan_copies(p.geometry, cpu::Cut::inputs, bytes, threads, smallest_copies);
    if (plan.units > 0) return plan;
  }
  return variant.plan(p, threads);
}

template <class Problem>
std::string label(const Variant<Problem>& variant, cpu::Capability capability) {
  return variant.name + (' ' + std::string(cpu::name_of(capability)));
}

// What the compiler makes a kernel of its own for.
inline std::string kind_of(ScalarType dtype, bool taps, bool relu) {
  return std::string(" ") + name_of(dtype) + (taps ? " taps" : " values") + (relu ? " relu" : "");
}
inline std::string kind_of(ScalarType dtype) { return std::string(" ") + name_of(dtype); }
inline std::string kind_of(const Forward& p) {
  return kind_of(p.dtype, p.taps != nullptr || p.indices != nullptr, p.relu);
}
inline std::string kind_of(const Backward& p) { return kind_of(p.dtype); }

// Every kernel of one instruction set; a seed decides for how many threads the work is cut.
template <class Problem>
std::vector<Runner<Problem>> cpu_runners(cpu::Capability capability, Tiles tiles, Counts* counts = nullptr) {
  std::vector<Runner<Problem>> all;
  for (const Variant<Problem>* variant : cpu::kernel_table(capability).of(Problem{})) {
    const std::string name = label(*variant, capability);
    const auto run = [=](const Problem& p, uint32_t seed) {
      if (counts != nullptr) ++(*counts)[name + kind_of(p)];
      const Plan plan = plan_of(*variant, p, 1 + seed % 3, tiles);
      for (int64_t end = plan.units; end > 0; end -= 3) variant->run(p, plan, std::max<int64_t>(end - 3, 0), end);
    };
    all.push_back({name, variant->refusal, run});
  }
  return all;
}

// Those of every instruction set this machine has.
template <class Problem>
std::vector<Runner<Problem>> cpu_runners(Tiles tiles, Counts* counts = nullptr) {
  std::vector<Runner<Problem>> all;
  for (const cpu::Capability capability : cpu::available_capabilities()) {
    for (Runner<Problem>& runner : cpu_runners<Problem>(capability, tiles, counts)) all.push_back(std::move(runner));
  }
  return all;
}

// The gathers have one kernel for every instruction set.
template <class Problem>
Runner<Problem> cpu_runner() {
  const Variant<Problem>* variant = cpu::kernel_table(cpu::Capability::baseline).of(Problem{}).back();
  return {variant->name, variant->refusal, [=](const Problem& p, uint32_t) {
            const Plan plan = variant->plan(p, 2);
            variant->run(p, plan, 0, plan.units);
          }};
}

}  // namespace voxpool::testing
