#include "cpu/memory_order.h"

#include <algorithm>

namespace voxpool::cpu {

OrderedForward in_memory_order(const Forward& p) {
  const Geometry& g = p.geometry;
  const std::array<int64_t, 3> in{p.input_strides.d, p.input_strides.h, p.input_strides.w};
  const std::array<int64_t, 3> out{p.output_strides.d, p.output_strides.h, p.output_strides.w};
  const std::array<int64_t, 3> index_step{g.h().in * g.w().in, g.w().in, 1};

  // The stride of an axis of length 1 means nothing: such an axis stays where it is.
  std::array<int, 3> order{0, 1, 2};
  for (int pass = 0; pass < 2; ++pass) {
    for (int i = 0; i < 2; ++i) {
      const int outer = order[i], inner = order[i + 1];
      const bool comparable = g.axes[outer].in > 1 && g.axes[inner].in > 1;
      if (comparable && in[outer] < in[inner]) std::swap(order[i], order[i + 1]);
    }
  }

  OrderedForward ordered{p, index_step, order == std::array<int, 3>{0, 1, 2}};
  if (ordered.in_scan_order) return ordered;
  Forward& q = ordered.problem;
  for (int i = 0; i < 3; ++i) {
    q.geometry.axes[i] = g.axes[order[i]];
    q.code.step[i] = p.code.step[order[i]];
    q.code.origin_scale[i] = p.code.origin_scale[order[i]];
    ordered.index_step[i] = index_step[order[i]];
  }
  q.input_strides = {p.input_strides.n, p.input_strides.c, in[order[0]], in[order[1]], in[order[2]]};
  q.output_strides = {p.output_strides.n, p.output_strides.c, out[order[0]], out[order[1]], out[order[2]]};
  return ordered;
}

}  // namespace voxpool::cpu
