#include "cpu/tile_plan.h"

#include <gtest/gtest.h>

#include "cases.h"

namespace voxpool::testing {
namespace {

using cpu::Layout;
using cpu::Tile;

constexpr int64_t budget = int64_t{256} * 1024;

cpu::KeptRows kept(const Geometry& g) { return {cpu::rings(g), 5}; }

std::vector<Case> cases() {
  std::vector<Case> all = named_cases();
  const std::vector<Case> random = random_cases(400, 3);
  all.insert(all.end(), random.begin(), random.end());
  Window k3;
  for (WindowAxis& a : k3.axes) a = {3, 2, 1, 1, 1};
  all.push_back({1, 1, {256, 256, 256}, k3});
  all.push_back({2, 256, {16, 112, 112}, k3});
  all.push_back({1, 3, {2, 2, 100000}, k3});
  return all;
}

// Each element of `sizes` x channels x batch is in exactly one tile.
void expect_partition(const Geometry& g, const std::array<int64_t, 3>& sizes, int64_t channels,
                      const std::vector<Tile>& tiles, const std::string& name) {
  int64_t covered = 0;
  for (const Tile& t : tiles) {
    EXPECT_TRUE(t.n >= 0 && t.n < g.batch && t.c >= 0 && t.c < channels) << name;
    EXPECT_TRUE(t.d.begin >= 0 && t.d.end <= sizes[0] && t.h.begin >= 0 && t.h.end <= sizes[1]) << name;
    EXPECT_TRUE(t.w.begin >= 0 && t.w.end <= sizes[2]) << name;
    covered += t.d.size() * t.h.size() * t.w.size();
  }
  EXPECT_EQ(covered, g.batch * channels * sizes[0] * sizes[1] * sizes[2]) << name;
  for (size_t i = 1; i < tiles.size(); ++i) {
    const Tile &a = tiles[i - 1], &b = tiles[i];
    const bool same =
        a.n == b.n && a.c == b.c && a.d.begin == b.d.begin && a.h.begin == b.h.begin && a.w.begin == b.w.begin;
    EXPECT_FALSE(same) << name;
  }
}

TEST(TilePlan, TilesCoverEveryOutputOnce) {
  for (const Case& c : cases()) {
    const Geometry g = c.geometry();
    for (const Layout layout : {Layout::channels_first, Layout::channels_last}) {
      for (const int64_t threads : {1, 2, 16, 200}) {
        const Plan plan = cpu::plan_tiles(g, layout, kept(g), threads, budget);
        std::vector<Tile> tiles;
        // Every unit as the first of a run of one to three, as threads get them.
        for (int64_t unit = 0; unit < plan.units;) {
          cpu::Tiles some(g, layout, plan, unit);
          for (int64_t end = std::min(unit + 1 + unit % 3, plan.units); unit < end; ++unit)
            tiles.push_back(some.next());
        }
        const int64_t channels = layout == Layout::channels_first ? g.channels : 1;
        expect_partition(g, {g.d().out, g.h().out, g.w().out}, channels, tiles, c.name());
      }
    }
  }
}

TEST(TilePlan, GatherTilesCoverEveryInputOnce) {
  for (const Case& c : cases()) {
    const Geometry g = c.geometry();
    for (const Layout layout : {Layout::channels_first, Layout::channels_last}) {
      for (const int64_t threads : {1, 2, 16, 200}) {
        const Plan plan = cpu::plan_gather(g, layout, 4, threads, budget);
        std::vector<Tile> tiles;
        cpu::Tiles all = cpu::gather_tiles(g, layout, plan, 0);
        for (int64_t unit = 0; unit < plan.units; ++unit) tiles.push_back(all.next());
        const int64_t channels = layout == Layout::channels_first ? g.channels : 1;
        expect_partition(g, c.in, channels, tiles, c.name());
      }
    }
  }
}

// One volume of one channel still occupies every thread.
TEST(TilePlan, ASingleVolumeIsSharedByAllThreads) {
  Window k3;
  for (WindowAxis& a : k3.axes) a = {3, 2, 1, 1, 1};
  const Geometry g = make_geometry(1, 1, {256, 256, 256}, k3);
  EXPECT_GE(cpu::plan_tiles(g, Layout::channels_first, kept(g), 16, budget).units, 16);
  EXPECT_GE(cpu::plan_gather(g, Layout::channels_first, 4, 16, budget).units, 16);
  const Geometry flat = make_geometry(1, 1, {1, 512, 512}, k3);
  EXPECT_GE(cpu::plan_tiles(flat, Layout::channels_first, kept(flat), 16, budget).units, 16);
}

// Pieces of one volume read their common halo twice: cut along d and h, they read fewer rows than cut along d alone.
TEST(TilePlan, ThreadsReadFewRowsTwice) {
  Window k3;
  for (WindowAxis& a : k3.axes) a = {3, 1, 1, 1, 1};
  const Geometry g = make_geometry(1, 64, {8, 28, 28}, k3);
  const Plan plan = cpu::plan_tiles(g, Layout::channels_last, kept(g), 2, 2 * budget);
  const int64_t rows_read = plan.units * (plan.planes + 2) * (plan.rows + 2);
  EXPECT_GE(plan.units, 2);
  EXPECT_LT(rows_read, 2 * 8 * 28);  // planes one by one: 8 * 3 * 28
}

TEST(TilePlan, TilesHaveWholeStepsOfRows) {
  Window k3;
  for (WindowAxis& a : k3.axes) a = {3, 1, 1, 1, 1};
  for (const int64_t height : {3, 4, 7, 56, 57, 112}) {
    const Geometry g = make_geometry(2, 64, {16, height, 28}, k3);
    for (const int64_t threads : {1, 2, 16}) {
      const Plan plan = cpu::plan_tiles(g, Layout::channels_last, {{0, 2}, 4, 4}, threads, budget);
      EXPECT_TRUE(plan.rows % 4 == 0 || plan.rows == height || plan.rows < 4) << height << ' ' << plan.rows;
    }
  }
}

TEST(TilePlan, RingsStayInTheScratchBudget) {
  for (const Case& c : cases()) {
    const Geometry g = c.geometry();
    const cpu::Rings r = cpu::rings(g);
    const Plan plan = cpu::plan_tiles(g, Layout::channels_first, kept(g), 4, budget);
    const int64_t bytes = (r.rows + r.planes * plan.rows) * plan.columns * 5;
    // Narrow tiles are allowed to be larger than the budget: 16 columns, and 2 rows where there are as many.
    const int64_t smallest = (r.rows + r.planes * std::min<int64_t>(g.h().out, 2)) * 16 * 5;
    EXPECT_LE(bytes, std::max(budget, smallest)) << c.name();
  }
}

}  // namespace
}  // namespace voxpool::testing
