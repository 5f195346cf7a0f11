#pragma once

#include "cuda/fixed_kernels.h"
#include "cuda/fixed_window.h"
#include "cuda/kernels/backward_columns.h"
#include "cuda/kernels/backward_lanes.h"
#include "cuda/kernels/fixed_arguments.h"

// From a backward problem to the launch of a kernel for its window. A source for each element type includes this.
namespace voxpool::cuda {

template <class KernelType, class Window, class T>
void launch_backward(const char* name, const Backward& p, const Queue& queue, Ownership owns) {
  const Threads threads = plan_threads(p, owns);
  const Chunks chunks = plan_chunks(threads, Window::D::overlapping, threads_to_fill(queue.multiprocessors));
  const Geometry& g = p.geometry;
  const KernelType kernel{{
      .items = items(threads, chunks),
      .d = extent(g.d()),
      .h = extent(g.h()),
      .w = extent(g.w()),
      .chunk = static_cast<int32_t>(chunks.depth),
      .groups = static_cast<int32_t>(threads.planes),
      .grad_output = static_cast<const T*>(p.grad_output),
      .taps = static_cast<const uint8_t*>(p.taps),
      .output_strides = volume_strides(p.output_strides),
      .grad_input = static_cast<T*>(p.grad_input),
      .strides = volume_strides(p.input_strides),
  }};
  launch(name, kernel, threads.lines() * chunks.count, queue);
}

template <class T>
void launch_columns(const Backward& p, const Queue& queue) {
  with_fixed_window(p.geometry, [&]<class Window>(Window) {
    using Kernel = BackwardColumns<T, Window>;
    launch_backward<Kernel, Window, T>("backward columns", p, queue, {.columns = Kernel::inputs});
  });
}

template <class T>
void launch_lanes(const Backward& p, const Queue& queue) {
  with_fixed_window(p.geometry, [&]<class Window>(Window) {
    launch_backward<BackwardLanes<T, Window, backward_lanes>, Window, T>("backward channels", p, queue,
                                                                         {.channels = backward_lanes});
  });
}

template <class T>
void launch_scalar(const Backward& p, const Queue& queue) {
  with_fixed_window(p.geometry, [&]<class Window>(Window) {
    launch_backward<BackwardLanes<T, Window, 1>, Window, T>("backward scalar", p, queue, {});
  });
}

}  // namespace voxpool::cuda
