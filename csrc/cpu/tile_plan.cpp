#include "cpu/tile_plan.h"

#include <unistd.h>

#include <algorithm>
#include <limits>

namespace voxpool::cpu {
namespace {

// A thread that finishes early should find another piece, one that starts late should not hold up the rest.
constexpr int64_t pieces_per_thread = 4;

int64_t even_share(int64_t total, int64_t most) { return ceil_div(total, ceil_div(total, most)); }

// Lanes of short rows that are worth a call, and those that a row takes in a ring beside its own.
constexpr int64_t lanes_at_once = 2048;
constexpr int64_t spare_lanes = 32;

int64_t rounded_up(int64_t rows, int64_t step, int64_t most) {
  return rows > step ? std::min(ceil_div(rows, step) * step, most) : rows;
}

// Whole volumes where there are enough of them for the threads. Else pieces along d and h, which read their common halo
// twice: as many of each as let the thread with most of them read the fewest rows. `plan_of(planes, rows)` counts them.
template <class PlanOf>
Plan cut_for_threads(const Geometry& g, const Plan& whole, int64_t step, int64_t threads, const PlanOf& plan_of) {
  const int64_t wanted = threads * pieces_per_thread;
  if (whole.units >= wanted || whole.units == 0) return whole;
  Plan best = whole;
  double fewest = std::numeric_limits<double>::infinity();
  for (int64_t chunks = 1; chunks <= std::min(wanted, g.d().out); ++chunks) {
    const int64_t planes = ceil_div(g.d().out, chunks);
    if (planes == best.planes && chunks > 1) continue;  // nothing new
    for (const int64_t pieces : {threads, wanted}) {
      const int64_t strips = std::clamp<int64_t>(ceil_div(pieces, whole.units * chunks), 1, whole.rows);
      const Plan plan = plan_of(planes, rounded_up(ceil_div(whole.rows, strips), step, whole.rows));
      const double rows_read = static_cast<double>(ceil_div(plan.units, threads)) *
                               static_cast<double>(input_planes(g.d(), plan.planes)) *
                               static_cast<double>(input_planes(g.h(), plan.rows));
      if (rows_read >= fewest) continue;
      fewest = rows_read;
      best = plan;
    }
  }
  return best;
}

}  // namespace

int64_t scratch_budget() {
  constexpr int64_t kib = 1024;
#ifdef _SC_LEVEL2_CACHE_SIZE
  static const int64_t second_level = sysconf(_SC_LEVEL2_CACHE_SIZE);
#else
  constexpr int64_t second_level = 0;
#endif
  return second_level > 0 ? std::clamp(second_level / 2, 128 * kib, 512 * kib) : 256 * kib;
}

bool rows_together_along_h(const Geometry& g) { return !g.h().overlapping(); }

bool rows_together_along_d(const Geometry& g) {
  const bool few = g.d().kernel * g.h().kernel <= most_rows_together;
  return rows_together_along_h(g) && !g.d().overlapping() && few;
}

Rings rings(const Geometry& g) {
  const auto spanned = [](const Axis& axis) { return std::min(axis.reach() + 1, axis.in); };
  return {rows_together_along_h(g) ? 0 : spanned(g.h()),
          rows_together_along_d(g) || g.d().kernel == 1 ? 0 : spanned(g.d())};
}

Plan plan_tiles(const Geometry& g, Layout layout, const KeptRows& kept, int64_t threads, int64_t budget) {
  const int64_t volumes = g.batch * (layout == Layout::channels_first ? g.channels : 1);
  const int64_t column_bytes = kept.lane_bytes * (layout == Layout::channels_first ? 1 : g.channels);
  const Rings& ring = kept.rings;
  const int64_t step = kept.row_step;

  // Whole rows stream best: channels-last k3 s2 took a third longer in tiles of half the width. Yet tiles read their
  // common halo twice, so below two rows, or a step of them, the width gives way.
  const int64_t few_rows = std::max(step, std::min<int64_t>(g.h().out, 2));
  const int64_t kept_rows = ring.rows + ring.planes * few_rows;
  const int64_t most_columns = budget / (column_bytes * std::max<int64_t>(kept_rows, 1));
  const int64_t columns = even_share(g.w().out, std::max<int64_t>(most_columns, std::min<int64_t>(g.w().out, 16)));

  const int64_t row_bytes = columns * column_bytes;
  const int64_t spare = budget - ring.rows * row_bytes;
  const int64_t most_rows = ring.planes == 0 ? g.h().out : std::max(spare / (ring.planes * row_bytes), few_rows);
  const int64_t share = even_share(g.h().out, most_rows > step ? most_rows / step * step : most_rows);
  const int64_t rows = rounded_up(share, step, g.h().out);

  const int64_t volumes_and_columns = volumes * ceil_div(g.w().out, columns);
  const auto plan_of = [&](int64_t planes, int64_t rows) {
    const int64_t units = volumes_and_columns * ceil_div(g.d().out, planes) * ceil_div(g.h().out, rows);
    return Plan{.units = units, .planes = planes, .rows = rows, .columns = columns};
  };
  const Plan whole = plan_of(g.d().out, rows);
  return threads > 1 ? cut_for_threads(g, whole, step, threads, plan_of) : whole;
}

int64_t rows_at_once(const Plan& plan, int64_t channels) {
  return std::clamp<int64_t>(lanes_at_once / (plan.columns * channels + spare_lanes), 1, plan.rows);
}

Tiles::Tiles(const std::array<int64_t, 3>& sizes, int64_t channels, const Plan& plan, int64_t unit) {
  const auto counter = [&unit](int64_t step, int64_t size) {
    const int64_t pieces = ceil_div(size, step), index = unit % pieces;
    unit /= pieces;
    return Counter{index * step, step, size};
  };
  w_ = counter(plan.columns, sizes[2]);
  h_ = counter(plan.rows, sizes[1]);
  d_ = counter(plan.planes, sizes[0]);
  c_ = counter(1, channels);
  n_ = unit;
}

Tiles::Tiles(const Geometry& g, Layout layout, const Plan& plan, int64_t unit)
    : Tiles({g.d().out, g.h().out, g.w().out}, layout == Layout::channels_first ? g.channels : 1, plan, unit) {}

bool Tiles::Counter::advance() {
  begin += step;
  if (begin < end) return false;
  begin = 0;
  return true;
}

Tile Tiles::next() {
  const Tile tile{n_, c_.begin, d_.range(), h_.range(), w_.range()};
  if (w_.advance() && h_.advance() && d_.advance() && c_.advance()) ++n_;
  return tile;
}

Plan plan_gather(const Geometry& g, Layout layout, int64_t element_bytes, int64_t threads, int64_t budget) {
  const bool first = layout == Layout::channels_first;
  const int64_t volumes = g.batch * (first ? g.channels : 1);
  const int64_t row_bytes = g.w().out * (first ? 1 : g.channels) * (std::max<int64_t>(element_bytes, 4) + 1);
  const int64_t planes_at_once = std::min(ceil_div(g.d().reach() + 1, g.d().stride), g.d().out);
  const int64_t most_rows = std::max<int64_t>(budget / (row_bytes * planes_at_once), 4) * g.h().stride;
  int64_t rows = even_share(g.h().in, std::min(most_rows, g.h().in));

  const int64_t wanted = threads > 1 ? threads * pieces_per_thread : 1;
  const int64_t pieces = volumes * ceil_div(g.h().in, rows);
  const int64_t chunks = std::clamp<int64_t>(ceil_div(wanted, std::max<int64_t>(pieces, 1)), 1, g.d().in);
  const int64_t planes = ceil_div(g.d().in, chunks);
  if (pieces * chunks < threads) rows = ceil_div(rows, ceil_div(wanted, std::max<int64_t>(pieces * chunks, 1)));
  const int64_t units = volumes * ceil_div(g.d().in, planes) * ceil_div(g.h().in, rows);
  return {.units = units, .planes = planes, .rows = rows, .columns = g.w().in};
}

Tiles gather_tiles(const Geometry& g, Layout layout, const Plan& plan, int64_t unit) {
  return Tiles({g.d().in, g.h().in, g.w().in}, layout == Layout::channels_first ? g.channels : 1, plan, unit);
}

DepthPiece piece_of_outputs(const Axis& d, Range output) {
  const Range input{std::max<int64_t>(d.start(output.begin), 0),
                    std::min(d.start(output.end - 1) + d.reach() + 1, d.in)};
  return {input,
          output,
          {input.size(), output.size(), d.kernel, d.stride, input.begin - d.start(output.begin), d.dilation}};
}

DepthPiece piece_of_inputs(const Axis& d, Range input) {
  Range output{d.windows(input.begin).begin, d.windows(input.end - 1).end};
  if (output.empty()) output = {0, 0};
  return {input,
          output,
          {input.size(), output.size(), d.kernel, d.stride, input.begin - d.start(output.begin), d.dilation}};
}

Plan plan_copies(const Geometry& g, Cut cut, int64_t element_bytes, int64_t threads, int64_t budget) {
  const Axis& d = g.d();
  const int64_t length = cut == Cut::outputs ? d.out : d.in;
  const int64_t input_plane = g.h().in * g.w().in * element_bytes;
  const int64_t output_plane = g.h().out * g.w().out * (element_bytes + 1);
  const auto fits = [&](int64_t channels, int64_t planes) {
    const int64_t inputs = cut == Cut::outputs ? input_planes(d, planes) : 1;
    const int64_t outputs = cut == Cut::outputs ? planes : output_planes(d, planes);
    return channels * (inputs * input_plane + outputs * output_plane) <= budget;
  };
  // Many channels keep the kernels busy.
  int64_t channels = 64;
  while (channels > 16 && (channels / 2 >= g.channels || !fits(channels, 1))) channels /= 2;
  int64_t planes = length;
  while (planes > 1 && !fits(channels, planes)) planes = ceil_div(planes, 2);
  if (!fits(channels, planes)) return {};

  const int64_t groups = g.batch * ceil_div(g.channels, channels);
  const int64_t chunks = std::clamp<int64_t>(threads > 1 ? ceil_div(2 * threads, groups) : 1, 1, length);
  planes = std::min(planes, ceil_div(length, chunks));
  return {.units = groups * ceil_div(length, planes), .planes = planes, .channels = channels};
}

int64_t input_planes(const Axis& d, int64_t outputs) {
  return std::min((outputs - 1) * d.stride + d.reach() + 1, d.in);
}

int64_t output_planes(const Axis& d, int64_t inputs) { return std::min((inputs + d.reach()) / d.stride + 1, d.out); }

}  // namespace voxpool::cpu
