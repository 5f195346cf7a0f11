#pragma once

#include <array>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>

#include "core/axis.h"

namespace voxpool {

// An argument that does not describe a pooling. The text is torch's wherever torch has one.
class GeometryError : public std::invalid_argument {
 public:
  using std::invalid_argument::invalid_argument;
};

// The arguments of a pooling along one axis, as given.
struct WindowAxis {
  int64_t kernel = 1;
  int64_t stride = 1;
  int64_t pad_begin = 0;
  int64_t pad_end = 0;
  int64_t dilation = 1;
};

// How a padding was given decides its bound: torch's single value may be at most half of the kernel, a (begin, end)
// pair only has to leave at least one tap of every window a chance, pad < dilation * (kernel - 1) + 1.
enum class PaddingRule : uint8_t { symmetric, pairs };

// The arguments of a pooling over (d, h, w). Pooling over fewer axes leaves the leading ones at their defaults;
// `spatial_dims` then only selects the wording of errors.
struct Window {
  std::array<WindowAxis, 3> axes;
  bool ceil_mode = false;
  PaddingRule padding_rule = PaddingRule::symmetric;
  int spatial_dims = 3;
};

// A validated pooling of `batch` * `channels` volumes.
struct Geometry {
  int64_t batch;
  int64_t channels;
  std::array<Axis, 3> axes;  // d, h, w

  VOXPOOL_INLINE constexpr const Axis& d() const { return axes[0]; }
  VOXPOOL_INLINE constexpr const Axis& h() const { return axes[1]; }
  VOXPOOL_INLINE constexpr const Axis& w() const { return axes[2]; }

  VOXPOOL_INLINE constexpr int64_t input_volume() const { return d().in * h().in * w().in; }
  VOXPOOL_INLINE constexpr int64_t output_volume() const { return d().out * h().out * w().out; }
  VOXPOOL_INLINE constexpr bool has_empty_window() const {
    return d().has_empty_window() || h().has_empty_window() || w().has_empty_window();
  }
};

// Arguments are 32-bit numbers, as in torch, so that a window reaches less than 2^62 - 2^32 and two paddings add less
// than 2^32: with axes no longer than this, no sum of theirs passes 2^63.
inline constexpr int64_t longest_axis = int64_t{1} << 62;

// Throws GeometryError for a value that does not fit 32 bits, or a length above longest_axis.
void check_range(std::string_view name, int64_t value);
void check_length_range(int64_t length);

// Checks what does not depend on a size: torch's checks per axis, then those over all axes, in torch's order.
// Throws GeometryError.
void check_window(const Window& window);

// The last of torch's checks of the arguments, which comes after those of the input's lengths: a symmetric padding is
// at most half of the kernel, whatever the dilation. Throws GeometryError.
void check_half_padding(const Window& window);

// Number of windows along one axis: floor((in + pads - dilation * (kernel - 1) - 1 + (ceil ? stride - 1 : 0)) / stride)
// + 1, at most the number of windows that start inside the input or the leading padding; zero or less, for messages as
// torch counts, when not even one window fits. `Int` is int64_t or a symbolic integer; floor mode compares nothing but
// the sign of the numerator, so a symbolic size gets no guard on its remainder.
template <class Int>
Int output_length(const Int& in, const WindowAxis& axis, bool ceil_mode) {
  const int64_t slack = ceil_mode ? axis.stride - 1 : 0;
  const Int last = in + (axis.pad_begin + axis.pad_end - axis.dilation * (axis.kernel - 1) - 1 + slack);
  if (last < 0) return 1 - (-last + (axis.stride - 1)) / axis.stride;
  Int length = last / axis.stride + 1;
  if (ceil_mode && (length - 1) * axis.stride >= in + axis.pad_begin) length = length - 1;
  return length;
}

// Throws GeometryError about an output length below one; `input` and `output` are the sizes as the message shows them.
[[noreturn]] void throw_output_too_small(const std::string& input, const std::string& output);

// (C x T x H x W) for the message above, with as many spatial sizes as the pooling has.
std::string format_sizes(int64_t channels, const std::array<int64_t, 3>& sizes, int spatial_dims);

// The geometry of lengths and a window that are already validated.
Geometry geometry_of(int64_t batch, int64_t channels, const std::array<int64_t, 3>& in,
                     const std::array<int64_t, 3>& out, const Window& window);

// Validates everything and builds the geometry. `in` are the sizes along d, h, w (1 for axes that do not exist); they
// are positive: the caller, who knows the shape as given, reports zero lengths. Throws GeometryError.
Geometry make_geometry(int64_t batch, int64_t channels, const std::array<int64_t, 3>& in, const Window& window);

// TensorFlow's rule: ceil(in / stride) outputs; the padding needed for that is split evenly, the extra cell at the end.
// Source: tensorflow.org/api_docs/python/tf/nn, "Notes on padding".
template <class Int>
struct SamePadding {
  Int begin;
  Int end;
};

template <class Int>
SamePadding<Int> same_padding(const Int& in, int64_t kernel, int64_t stride, int64_t dilation) {
  const Int out = (in + (stride - 1)) / stride;
  const Int needed = (out - 1) * stride + (dilation * (kernel - 1) + 1) - in;
  const Int total = needed > 0 ? needed : Int(0);
  const Int begin = total / 2;
  return {begin, total - begin};
}

}  // namespace voxpool
