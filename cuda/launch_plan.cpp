#include "cuda/launch_plan.h"

#include <algorithm>

namespace voxpool::cuda {
namespace {

bool channels_lie_closer(const Strides& strides) { return strides.c < strides.w; }

// Groups of `stride` inputs, of which the first begins with the padding.
int64_t groups(const Axis& axis) { return ceil_div(axis.in + axis.pad_begin, axis.stride); }

}  // namespace

Threads plan_threads(const Forward& p, Ownership owns) {
  const Geometry& g = p.geometry;
  const int64_t columns = owns.columns > 1 ? ceil_div(g.w().out * g.w().stride, owns.columns) : g.w().out;
  return {g.batch, g.channels / owns.channels, g.d().out, g.h().out, columns, channels_lie_closer(p.input_strides)};
}

Threads plan_threads(const Backward& p, Ownership owns) {
  const Geometry& g = p.geometry;
  const int64_t columns = owns.columns > 1 ? g.w().in / owns.columns : groups(g.w());
  return {g.batch, g.channels / owns.channels,          groups(g.d()), groups(g.h()),
          columns, channels_lie_closer(p.input_strides)};
}

int64_t threads_to_fill(int multiprocessors) { return int64_t{multiprocessors} * 1024; }

Chunks plan_chunks(const Threads& threads, bool overlapping, int64_t fill) {
  const auto depth_for = [&](int64_t wanted) {
    const int64_t chunks = std::clamp<int64_t>(ceil_div(wanted, threads.lines()), 1, threads.planes);
    return ceil_div(threads.planes, chunks);
  };
  const int64_t depth = overlapping ? depth_for(2 * fill) : std::min<int64_t>(depth_for(8 * fill), 4);
  return {depth, ceil_div(threads.planes, depth)};
}

bool fits_int32(const std::array<int64_t, 3>& sizes, const Strides& strides) {
  constexpr int64_t limit = int64_t{1} << 31;
  const int64_t last = (sizes[0] - 1) * strides.d + (sizes[1] - 1) * strides.h + (sizes[2] - 1) * strides.w;
  return last < limit && std::max({strides.d, strides.h, strides.w}) < limit;
}

bool keeps_alignment(int64_t elements, const std::array<int64_t, 4>& sizes, const std::array<int64_t, 4>& strides) {
  for (size_t axis = 0; axis < sizes.size(); ++axis) {
    if (sizes[axis] > 1 && strides[axis] % elements != 0) return false;
  }
  return true;
}

bool is_aligned(const void* address, int64_t bytes) { return reinterpret_cast<uintptr_t>(address) % bytes == 0; }

}  // namespace voxpool::cuda
