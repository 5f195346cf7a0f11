#pragma once

#include "core/geometry.h"

// The windows that 3-D networks use, with their numbers known to the compiler: loops over taps unroll, and the planes
// that a thread keeps while it slides along d stay in registers.
namespace voxpool::cuda {

template <int window_kernel, int window_stride, int window_dilation>
struct FixedAxis {
  static constexpr int kernel = window_kernel, stride = window_stride, dilation = window_dilation;
  static constexpr int reach = (kernel - 1) * dilation;  // from the first tap to the last
  static constexpr int span = reach + 1;
  static constexpr bool overlapping = span > stride;
  // Of a row, for threads that own 16 bytes of it: the most padding at its beginning, and so the most elements before
  // its vector that a thread reads. Windows that do not overlap are aligned with the vectors.
  static constexpr int look_back = overlapping ? 1 : 0;

  static constexpr bool matches(const Axis& axis) {
    return axis.kernel == kernel && axis.stride == stride && (axis.dilation == dilation || kernel == 1);
  }
};

template <class DAxis, class HAxis, class WAxis>
struct FixedWindow {
  using D = DAxis;
  using H = HAxis;
  using W = WAxis;

  static constexpr bool matches(const Geometry& g) {
    return D::matches(g.d()) && H::matches(g.h()) && W::matches(g.w());
  }
};

template <int kernel, int stride, int dilation = 1, class Axis = FixedAxis<kernel, stride, dilation>>
using CubicWindow = FixedWindow<Axis, Axis, Axis>;
template <int kernel, int stride, class Axis = FixedAxis<kernel, stride, 1>>
using PlaneWindow = FixedWindow<FixedAxis<1, 1, 1>, Axis, Axis>;

// Calls f with a value of the type of the fixed window that these axes have; returns whether there is one.
template <class F>
constexpr bool with_fixed_window(const Geometry& g, F&& f) {
  const auto try_window = [&](auto window) {
    const bool found = decltype(window)::matches(g);
    if (found) f(window);
    return found;
  };
  return try_window(CubicWindow<2, 2>{}) || try_window(PlaneWindow<2, 2>{}) || try_window(PlaneWindow<3, 2>{}) ||
         try_window(CubicWindow<3, 2>{}) || try_window(CubicWindow<3, 1>{}) || try_window(CubicWindow<3, 2, 3>{});
}

}  // namespace voxpool::cuda
