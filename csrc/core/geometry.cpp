#include "core/geometry.h"

#include <limits>
#include <sstream>

namespace voxpool {
namespace {

template <class... Args>
[[noreturn]] void fail(const Args&... args) {
  std::ostringstream text;
  (text << ... << args);
  throw GeometryError(text.str());
}

// "kT: 3 kH: 3 kW: 3", the form of torch's messages about one argument on every axis.
std::string per_axis(const Window& window, const char* prefix, int64_t WindowAxis::*member) {
  static constexpr const char* axis_names[] = {"T", "H", "W"};
  std::ostringstream text;
  for (int i = 3 - window.spatial_dims; i < 3; ++i) {
    if (text.tellp() > 0) text << ' ';
    text << prefix << axis_names[i] << ": " << window.axes[i].*member;
  }
  return text.str();
}

bool all_positive(const Window& window, int64_t WindowAxis::*member) {
  for (const WindowAxis& axis : window.axes) {
    if (axis.*member <= 0) return false;
  }
  return true;
}

void check_symmetric_padding(const WindowAxis& axis) {
  if (axis.stride == 0) fail("stride should not be zero");
  if (axis.pad_begin < 0) fail("pad must be non-negative, but got pad: ", axis.pad_begin);
  if (axis.pad_begin > (axis.dilation * (axis.kernel - 1) + 1) / 2) {
    fail("pad should be at most half of effective kernel size, but got pad=", axis.pad_begin,
         ", kernel_size=", axis.kernel, " and dilation=", axis.dilation);
  }
}

void check_padding_pair(const WindowAxis& axis) {
  if (axis.stride == 0) fail("stride should not be zero");
  for (const int64_t pad : {axis.pad_begin, axis.pad_end}) {
    if (pad < 0) fail("pad must be non-negative, but got pad: ", pad);
    if (axis.kernel > 0 && axis.dilation > 0 && pad > axis.dilation * (axis.kernel - 1)) {
      fail("pad should be smaller than the effective kernel size, but got pad=", pad, ", kernel_size=", axis.kernel,
           " and dilation=", axis.dilation);
    }
  }
}

}  // namespace

void check_range(std::string_view name, int64_t value) {
  const bool fits = value >= std::numeric_limits<int32_t>::min() && value <= std::numeric_limits<int32_t>::max();
  if (!fits) fail("integer out of range: ", name, " must fit 32 bits, but got ", value);
}

void check_length_range(int64_t length) {
  if (length > longest_axis) fail("integer out of range: an axis has at most 2^62 elements, but got ", length);
}

void check_window(const Window& window) {
  const bool symmetric = window.padding_rule == PaddingRule::symmetric;
  for (int i = 3 - window.spatial_dims; i < 3; ++i) {
    symmetric ? check_symmetric_padding(window.axes[i]) : check_padding_pair(window.axes[i]);
  }
  if (!all_positive(window, &WindowAxis::kernel)) {
    fail("kernel size should be greater than zero, but got ", per_axis(window, "k", &WindowAxis::kernel));
  }
  if (!all_positive(window, &WindowAxis::stride)) {
    fail("stride should be greater than zero, but got ", per_axis(window, "d", &WindowAxis::stride));
  }
  if (!all_positive(window, &WindowAxis::dilation)) {
    fail("dilation should be greater than zero, but got ", per_axis(window, "dilation", &WindowAxis::dilation));
  }
}

void check_half_padding(const Window& window) {
  if (window.padding_rule != PaddingRule::symmetric) return;
  for (const WindowAxis& axis : window.axes) {
    if (axis.pad_begin <= axis.kernel / 2) continue;
    const auto& [d, h, w] = window.axes;
    constexpr const char* sentence = "pad should be smaller than or equal to half of kernel size, but got ";
    if (window.spatial_dims == 2) {
      fail(sentence, "padW = ", w.pad_begin, ", padH = ", h.pad_begin, ", kW = ", w.kernel, ", kH = ", h.kernel);
    }
    fail(sentence, "kT: ", d.kernel, " kW: ", w.kernel, " kH: ", h.kernel, " padT: ", d.pad_begin,
         " padW: ", w.pad_begin, " padH: ", h.pad_begin);
  }
}

std::string format_sizes(int64_t channels, const std::array<int64_t, 3>& sizes, int spatial_dims) {
  std::ostringstream text;
  text << '(' << channels;
  for (int i = 3 - spatial_dims; i < 3; ++i) text << 'x' << sizes[i];
  text << ')';
  return text.str();
}

void throw_output_too_small(const std::string& input, const std::string& output) {
  fail("Given input size: ", input, ". Calculated output size: ", output, ". Output size is too small");
}

Geometry geometry_of(int64_t batch, int64_t channels, const std::array<int64_t, 3>& in,
                     const std::array<int64_t, 3>& out, const Window& window) {
  Geometry geometry{batch, channels, {}};
  for (int i = 0; i < 3; ++i) {
    const WindowAxis& axis = window.axes[i];
    geometry.axes[i] = {in[i], out[i], axis.kernel, axis.stride, axis.pad_begin, axis.dilation};
  }
  return geometry;
}

Geometry make_geometry(int64_t batch, int64_t channels, const std::array<int64_t, 3>& in, const Window& window) {
  for (const WindowAxis& axis : window.axes) {
    check_range("kernel_size", axis.kernel);
    check_range("stride", axis.stride);
    check_range("padding", axis.pad_begin);
    check_range("padding", axis.pad_end);
    check_range("dilation", axis.dilation);
  }
  check_window(window);
  for (const int64_t length : in) check_length_range(length);
  check_half_padding(window);
  std::array<int64_t, 3> out;
  for (int i = 0; i < 3; ++i) out[i] = output_length(in[i], window.axes[i], window.ceil_mode);
  for (const int64_t length : out) {
    if (length < 1) {
      throw_output_too_small(format_sizes(channels, in, window.spatial_dims),
                             format_sizes(channels, out, window.spatial_dims));
    }
  }
  return geometry_of(batch, channels, in, out, window);
}

}  // namespace voxpool
