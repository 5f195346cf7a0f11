#include "cuda/kernel_table.h"

#include <algorithm>

#include "core/element.h"
#include "cuda/fixed_kernels.h"
#include "cuda/fixed_window.h"
#include "cuda/generic_kernels.h"
#include "cuda/launch_plan.h"

namespace voxpool::cuda {
namespace {

// The element types of the kernels for fixed windows.
template <class F>
bool with_fixed_element(ScalarType type, F&& f) {
  if (type == ScalarType::f32) return f(float{}), true;
  if (type == ScalarType::f16) return f(Float16{}), true;
  if (type == ScalarType::bf16) return f(BFloat16{}), true;
  return false;
}

int64_t vector_elements(ScalarType type) { return 16 / static_cast<int64_t>(size_of(type)); }

// Sizes and strides of the axes across a row of columns, or of channels.
bool keeps_alignment_across_w(int64_t elements, const Geometry& g, int64_t depth, int64_t height, const Strides& s) {
  return keeps_alignment(elements, {g.batch, g.channels, depth, height}, {s.n, s.c, s.d, s.h});
}
bool keeps_alignment_across_c(int64_t elements, const Geometry& g, const std::array<int64_t, 3>& sizes,
                              const Strides& s) {
  return keeps_alignment(elements, {g.batch, sizes[0], sizes[1], sizes[2]}, {s.n, s.d, s.h, s.w});
}

std::array<int64_t, 3> input_sizes(const Geometry& g) { return {g.d().in, g.h().in, g.w().in}; }
std::array<int64_t, 3> output_sizes(const Geometry& g) { return {g.d().out, g.h().out, g.w().out}; }

// What every kernel for fixed windows asks for.
template <class Problem>
const char* fixed_refusal(const Problem& p, Ownership owns) {
  const Geometry& g = p.geometry;
  if (!with_fixed_window(g, [](auto) {})) return "no kernel was compiled for this window";
  if (!with_fixed_element(p.dtype, [](auto) {})) return "elements are not float32, float16 or bfloat16";
  if (g.has_empty_window()) return "a window has no tap inside the input";
  if (!fits_int32(input_sizes(g), p.input_strides) || !fits_int32(output_sizes(g), p.output_strides)) {
    return "a volume spans 2^31 elements or more";
  }
  if (plan_threads(p, owns).count() > most_threads) return "more than 2^31 threads";
  return nullptr;
}

const char* both_refusal(const Forward& p) {
  return p.taps != nullptr && p.indices != nullptr ? "taps and indices at once" : nullptr;
}

// What the kernels that move 16 bytes of a row ask of the input, or of its gradient.
const char* columns_refusal(const Geometry& g, int64_t elements, const Strides& input, const void* address) {
  int look_back = 0;
  with_fixed_window(g, [&]<class Window>(Window) { look_back = Window::W::look_back; });
  if (input.w != 1) return "columns are not next to each other";
  if (g.w().in % elements != 0 || !is_aligned(address, 16) ||
      !keeps_alignment_across_w(elements, g, g.d().in, g.h().in, input)) {
    return "rows of the input do not begin at multiples of 16 bytes";
  }
  if (g.w().pad_begin > look_back) return "more padding before a row than a thread looks back";
  return nullptr;
}

const char* columns_forward_refusal(const Forward& p) {
  const int64_t elements = vector_elements(p.dtype);
  if (const char* reason = fixed_refusal(p, {.columns = elements})) return reason;
  if (const char* reason = both_refusal(p)) return reason;
  if (p.output_strides.w != 1) return "columns are not next to each other";
  return columns_refusal(p.geometry, elements, p.input_strides, p.input);
}

const char* columns_backward_refusal(const Backward& p) {
  const Geometry& g = p.geometry;
  const int64_t elements = vector_elements(p.dtype), outputs = elements / g.w().stride;
  if (const char* reason = fixed_refusal(p, {.columns = elements})) return reason;
  if (const char* reason = columns_refusal(g, elements, p.input_strides, p.grad_input)) return reason;
  const bool aligned = p.output_strides.w == 1 && g.w().out % outputs == 0 &&
                       is_aligned(p.grad_output, outputs * static_cast<int64_t>(size_of(p.dtype))) &&
                       is_aligned(p.taps, outputs) &&
                       keeps_alignment_across_w(outputs, g, g.d().out, g.h().out, p.output_strides);
  return aligned ? nullptr : "rows of the output are not whole vectors";
}

const char* lanes_refusal(const Geometry& g, int64_t elements, const Strides& input, const Strides& output) {
  if (input.c != 1 || output.c != 1) return "channels are not next to each other";
  if (g.channels % elements != 0 || !keeps_alignment_across_c(elements, g, input_sizes(g), input) ||
      !keeps_alignment_across_c(elements, g, output_sizes(g), output)) {
    return "channels are not whole vectors";
  }
  return nullptr;
}

const char* lanes_forward_refusal(const Forward& p) {
  const int64_t elements = forward_lanes(size_of(p.dtype), p.taps != nullptr || p.indices != nullptr);
  if (const char* reason = fixed_refusal(p, {.channels = elements})) return reason;
  if (const char* reason = both_refusal(p)) return reason;
  const bool aligned =
      is_aligned(p.input, 16) && is_aligned(p.output, 16) && is_aligned(p.taps, elements) && is_aligned(p.indices, 16);
  return aligned ? lanes_refusal(p.geometry, elements, p.input_strides, p.output_strides)
                 : "tensors do not begin at multiples of a vector";
}

const char* lanes_backward_refusal(const Backward& p) {
  const int64_t bytes = backward_lanes * static_cast<int64_t>(size_of(p.dtype));
  if (const char* reason = fixed_refusal(p, {.channels = backward_lanes})) return reason;
  const bool aligned =
      is_aligned(p.grad_input, bytes) && is_aligned(p.grad_output, bytes) && is_aligned(p.taps, backward_lanes);
  return aligned ? lanes_refusal(p.geometry, backward_lanes, p.input_strides, p.output_strides)
                 : "tensors do not begin at multiples of a vector";
}

const char* scalar_forward_refusal(const Forward& p) {
  const char* reason = fixed_refusal(p, {});
  return reason != nullptr ? reason : both_refusal(p);
}

const char* scalar_backward_refusal(const Backward& p) { return fixed_refusal(p, {}); }

template <class Problem>
const char* no_refusal(const Problem&) {
  return nullptr;
}

template <class Problem>
void columns(const Problem& p, const Queue& queue) {
  with_fixed_element(p.dtype, [&]<class T>(T) { launch_columns<T>(p, queue); });
}
template <class Problem>
void lanes(const Problem& p, const Queue& queue) {
  with_fixed_element(p.dtype, [&]<class T>(T) { launch_lanes<T>(p, queue); });
}
template <class Problem>
void scalar(const Problem& p, const Queue& queue) {
  with_fixed_element(p.dtype, [&]<class T>(T) { launch_scalar<T>(p, queue); });
}
template <class Problem>
void generic(const Problem& p, const Queue& queue) {
  launch_generic(p, queue);
}

constexpr Kernel<Forward> forward_kernels[] = {
    {"columns", columns_forward_refusal, columns<Forward>},
    {"channels", lanes_forward_refusal, lanes<Forward>},
    {"scalar", scalar_forward_refusal, scalar<Forward>},
    {"generic", no_refusal<Forward>, generic<Forward>},
};
constexpr Kernel<Backward> backward_kernels[] = {
    {"columns", columns_backward_refusal, columns<Backward>},
    {"channels", lanes_backward_refusal, lanes<Backward>},
    {"scalar", scalar_backward_refusal, scalar<Backward>},
    {"generic", no_refusal<Backward>, generic<Backward>},
};
constexpr Kernel<Gather> gather_kernels[] = {{"generic", no_refusal<Gather>, generic<Gather>}};
constexpr Kernel<TapIndices> tap_indices_kernels[] = {{"generic", no_refusal<TapIndices>, generic<TapIndices>}};
constexpr KernelTable table{forward_kernels, backward_kernels, gather_kernels, tap_indices_kernels};

}  // namespace

const KernelTable& kernel_table() { return table; }

}  // namespace voxpool::cuda
