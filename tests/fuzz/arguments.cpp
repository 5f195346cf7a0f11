#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <optional>

#include "core/geometry.h"
#include "core/problem.h"
#include "cpu/kernel_table.h"
#include "target.h"

// Arguments as a caller may give them, up to the ends of an int64: an error or the right answer, and at once. What is
// right is worked out in 128 bits, which no sum or product of them leaves.
namespace voxpool::fuzz {
namespace {

__extension__ using Wide = __int128;

constexpr int64_t int_max = std::numeric_limits<int32_t>::max();
constexpr Wide longest_volume = Wide{1} << 58;  // as many elements of 8 bytes as a tensor may have, and some to spare

Wide ceil_div_wide(Wide a, Wide b) { return a / b + (a % b > 0); }

// As many windows as fit; in ceil mode also those that start inside and only reach out. Less than one if none does.
Wide windows_of(Wide in, const WindowAxis& a, bool ceil_mode) {
  const Wide room = in + a.pad_begin + a.pad_end - (Wide{a.dilation} * (Wide{a.kernel} - 1) + 1);
  if (!ceil_mode) return room < 0 ? 0 : room / a.stride + 1;
  // Window o, o * stride + span <= in + pads + stride - 1, and its start lies before the end of the input.
  const Wide reaching = room + a.stride - 1;
  if (reaching < 0) return 0;
  return std::min(reaching / a.stride + 1, ceil_div_wide(in + a.pad_begin, a.stride));
}

// Legal more often than not, or few cases would get past the first check.
WindowAxis any_axis(Decisions& d, PaddingRule rule) {
  WindowAxis a;
  for (int64_t* value : {&a.kernel, &a.stride, &a.dilation}) {
    *value = d.pick(0, 7) == 7 ? d.any_number() : d.choose<int64_t>({1, 2, 3, 7, int_max, int_max / 2, 1 << 20, 100});
  }
  const auto pad = [&] {
    const Wide reach = Wide{a.dilation} * (Wide{a.kernel} - 1);
    const int64_t most = reach > int_max || reach < 0 ? int_max : static_cast<int64_t>(reach);
    return d.pick(0, 7) == 7 ? d.any_number() : d.choose<int64_t>({0, 1, a.kernel / 2, most, most / 2});
  };
  a.pad_begin = a.pad_end = pad();
  if (rule == PaddingRule::pairs) a.pad_end = pad();
  return a;
}

bool legal(const WindowAxis& a, PaddingRule rule) {
  for (const int64_t value : {a.kernel, a.stride, a.dilation, a.pad_begin, a.pad_end}) {
    if (value < -int_max - 1 || value > int_max) return false;
  }
  if (a.kernel < 1 || a.stride < 1 || a.dilation < 1 || a.pad_begin < 0 || a.pad_end < 0) return false;
  const int64_t most = rule == PaddingRule::symmetric ? a.kernel / 2 : a.dilation * (a.kernel - 1);
  return a.pad_begin <= most && a.pad_end <= most;
}

void check_axis(const Axis& a) {
  for (const int64_t o : {int64_t{0}, int64_t{1}, a.out / 2, a.out - 1}) {
    if (o >= a.out) continue;
    const auto reads = [&](Wide tap) {
      const Wide position = Wide{o} * a.stride - a.pad_begin + tap * a.dilation;
      return tap >= 0 && tap < a.kernel && position >= 0 && position < a.in;
    };
    const Range taps = a.taps(o);
    if (taps.empty()) {
      // The first tap that is not before the input.
      const Wide before = Wide{a.pad_begin} - Wide{o} * a.stride;
      EXPECT_FALSE(reads(std::max<Wide>(ceil_div_wide(before, a.dilation), 0)));
    } else {
      EXPECT_TRUE(reads(taps.begin) && reads(taps.end - 1));
      EXPECT_FALSE(reads(Wide{taps.begin} - 1) || reads(taps.end));
    }
  }
  for (const int64_t i : {int64_t{0}, a.in / 2, a.in - 1}) {
    const auto spans = [&](Wide o) {
      const Wide start = o * a.stride - a.pad_begin;
      return o >= 0 && o < a.out && start <= i && i <= start + Wide{a.kernel - 1} * a.dilation;
    };
    const Range windows = a.windows(i);
    if (windows.empty()) continue;
    EXPECT_TRUE(spans(windows.begin) && spans(windows.end - 1));
    EXPECT_FALSE(spans(Wide{windows.begin} - 1) || spans(windows.end));
    const Wide offset = Wide{i} - (Wide{windows.begin} * a.stride - a.pad_begin);
    const int64_t tap = offset % a.dilation == 0 ? static_cast<int64_t>(offset / a.dilation) : -1;
    EXPECT_EQ(a.tap_on(windows.begin, i), tap);
    EXPECT_EQ(a.has_tap_on(windows.begin, i), tap >= 0);
  }
}

TapType tap_type(const Geometry& g) {
  Wide taps = 1;
  for (const Axis& a : g.axes) taps *= a.kernel;
  return taps <= 255 ? TapType::u8 : taps <= int_max ? TapType::i32 : TapType::i64;
}

// Where a code of the first window points to, or -1.
int64_t position_of(const Geometry& g, TapType type, Wide code) {
  std::array<Wide, 3> position;
  for (int i = 2; i >= 0; --i) {
    const Axis& a = g.axes[i];
    const Wide length = type == TapType::i64 ? a.in : a.kernel;
    const Wide digit = i == 0 ? code : code % length;
    code /= length;
    position[i] = type == TapType::i64 ? digit : digit * a.dilation - a.pad_begin;
    const Wide offset = position[i] + a.pad_begin;
    if (digit >= length || offset % a.dilation != 0 || offset / a.dilation >= a.kernel) return -1;
    if (position[i] < 0 || position[i] >= a.in) return -1;
  }
  return static_cast<int64_t>((position[0] * g.h().in + position[1]) * g.w().in + position[2]);
}

// What explain() asks of the kernels, without a tensor.
template <class Problem>
void check_plans(const Problem& p) {
  for (const cpu::Capability capability : cpu::available_capabilities()) {
    for (const Variant<Problem>* variant : cpu::kernel_table(capability).of(p)) {
      if (variant->refusal(p) != nullptr) continue;
      for (const int64_t threads : {1, 64}) {
        EXPECT_GT(variant->plan(p, threads).units, 0) << variant->name;
      }
    }
  }
}

}  // namespace

void check_arguments(Decisions& d) {
  Window window;
  window.ceil_mode = d.flag();
  window.padding_rule = d.flag() ? PaddingRule::pairs : PaddingRule::symmetric;
  window.spatial_dims = static_cast<int>(3 - d.pick(0, 2));
  const int64_t code = d.any_number();
  std::array<int64_t, 3> in{1, 1, 1};
  bool valid = true;
  std::array<Wide, 3> out;
  for (int i = 2; i >= 0; --i) {
    WindowAxis& a = window.axes[i];
    if (i >= 3 - window.spatial_dims) {
      in[i] = d.any_length();
      a = any_axis(d, window.padding_rule);
    }
    valid = valid && legal(a, window.padding_rule) && in[i] <= longest_axis;
  }
  for (int i = 0; i < 3 && valid; ++i) out[i] = windows_of(in[i], window.axes[i], window.ceil_mode);
  valid = valid && *std::min_element(out.begin(), out.end()) >= 1;

  std::optional<Geometry> geometry;
  try {
    geometry = make_geometry(1, 1, in, window);
  } catch (const GeometryError& error) {
    EXPECT_FALSE(valid) << error.what();
  }
  if (!geometry) return;
  EXPECT_TRUE(valid);
  const Geometry& g = *geometry;
  Wide inputs = 1, outputs = 1;
  for (int i = 0; i < 3; ++i) {
    ASSERT_EQ(static_cast<int64_t>(out[i]), g.axes[i].out);
    check_axis(g.axes[i]);
    inputs = std::min(inputs * g.axes[i].in, longest_volume);
    outputs = std::min(outputs * g.axes[i].out, longest_volume);
  }

  // What follows is asked about tensors, which have no more elements than memory has addresses.
  if (inputs >= longest_volume || outputs >= longest_volume) return;
  const TapCode codes = tap_code(g);
  EXPECT_EQ(codes.type, tap_type(g));
  EXPECT_EQ(input_position(g, codes, code, 0, 0, 0), code < 0 ? -1 : position_of(g, codes.type, code));
  for (const Axis& axis : g.axes) {
    if (axis.out > 1000) return;  // looking for a window without a tap takes as long as there are windows
  }
  bool empty = false;
  for (const Axis& axis : g.axes) {
    for (int64_t o = 0; o < axis.out; ++o) empty = empty || axis.taps(o).empty();
  }
  EXPECT_EQ(g.has_empty_window(), empty);
  const Strides input{g.input_volume(), g.input_volume(), g.h().in * g.w().in, g.w().in, 1};
  const Strides output{g.output_volume(), g.output_volume(), g.h().out * g.w().out, g.w().out, 1};
  check_plans(Forward{g, ScalarType::f32, codes, nullptr, input, nullptr, nullptr, nullptr, output});
  check_plans(Backward{g, ScalarType::f32, codes, nullptr, nullptr, output, nullptr, input});
}

}  // namespace voxpool::fuzz
