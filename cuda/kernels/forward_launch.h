#pragma once

#include "cuda/fixed_kernels.h"
#include "cuda/fixed_window.h"
#include "cuda/kernels/fixed_arguments.h"
#include "cuda/kernels/forward_columns.h"
#include "cuda/kernels/forward_lanes.h"

// From a forward problem to the launch of a kernel for its window. A source for each element type includes this.
namespace voxpool::cuda {

// Distances from one code to the next: taps are counted, indices are positions.
inline CodeSteps code_steps(const Forward& p) {
  const auto step = [](int64_t x) { return static_cast<uint32_t>(x); };
  const Geometry& g = p.geometry;
  if (p.indices == nullptr) return {step(p.code.step[0]), step(p.code.step[1]), step(p.code.step[2])};
  return {step(g.d().dilation * g.h().in * g.w().in), step(g.h().dilation * g.w().in), step(g.w().dilation)};
}

// The outputs that a thread has next to each other are written at once where `aligned`.
template <class KernelType, class Window, class T>
void launch_forward(const char* name, const Forward& p, const Queue& queue, Ownership owns, bool aligned) {
  const Threads threads = plan_threads(p, owns);
  const Chunks chunks = plan_chunks(threads, Window::D::overlapping, threads_to_fill(queue.multiprocessors));
  const Geometry& g = p.geometry;
  const KernelType kernel{{
      .items = items(threads, chunks),
      .d = extent(g.d()),
      .h = extent(g.h()),
      .w = extent(g.w()),
      .chunk = static_cast<int32_t>(chunks.depth),
      .input = static_cast<const T*>(p.input),
      .strides = volume_strides(p.input_strides),
      .code = code_steps(p),
      .result = {static_cast<T*>(p.output), static_cast<uint8_t*>(p.taps), p.indices, volume_strides(p.output_strides),
                 p.relu},
      .aligned = aligned,
  }};
  launch(name, kernel, threads.lines() * chunks.count, queue);
}

// Calls f with the window and with what is kept, as types the compiler knows.
template <class F>
void with_forward_types(const Forward& p, F&& f) {
  with_fixed_window(p.geometry, [&]<class Window>(Window window) {
    if (p.taps == nullptr && p.indices == nullptr) {
      f(window, std::integral_constant<Keep, Keep::values>{});
    } else {
      f(window, std::integral_constant<Keep, Keep::taps>{});
    }
  });
}

template <class T>
void launch_columns(const Forward& p, const Queue& queue) {
  with_forward_types(p, [&]<class Window, Keep keep>(Window, std::integral_constant<Keep, keep>) {
    using Kernel = ForwardColumns<T, keep, Window>;
    const Geometry& g = p.geometry;
    const Strides& s = p.output_strides;
    const bool aligned =
        keeps_alignment(Kernel::outputs, {g.batch, g.channels, g.d().out, g.h().out}, {s.n, s.c, s.d, s.h}) &&
        is_aligned(p.output, Kernel::outputs * sizeof(T)) && is_aligned(p.taps, Kernel::outputs) &&
        is_aligned(p.indices, 16);
    launch_forward<Kernel, Window, T>("forward columns", p, queue, {.columns = Kernel::inputs}, aligned);
  });
}

template <class T>
void launch_lanes(const Forward& p, const Queue& queue) {
  with_forward_types(p, [&]<class Window, Keep keep>(Window, std::integral_constant<Keep, keep>) {
    constexpr int lanes = forward_lanes(sizeof(T), keep == Keep::taps);
    launch_forward<ForwardLanes<T, keep, Window, lanes>, Window, T>("forward channels", p, queue, {.channels = lanes},
                                                                    true);
  });
}

template <class T>
void launch_scalar(const Forward& p, const Queue& queue) {
  with_forward_types(p, [&]<class Window, Keep keep>(Window, std::integral_constant<Keep, keep>) {
    launch_forward<ForwardLanes<T, keep, Window, 1>, Window, T>("forward scalar", p, queue, {}, true);
  });
}

}  // namespace voxpool::cuda
