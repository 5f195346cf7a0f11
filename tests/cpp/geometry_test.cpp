#include "core/geometry.h"

#include <gtest/gtest.h>

#include <limits>
#include <string>

#include "core/tap_code.h"

namespace voxpool::testing {
namespace {

constexpr int64_t int_max = std::numeric_limits<int32_t>::max();

WindowAxis axis(int64_t kernel, int64_t stride, int64_t pad, int64_t dilation) {
  return {kernel, stride, pad, pad, dilation};
}

Window cube(const WindowAxis& a) { return {{a, a, a}}; }

std::string error_of(const Window& window, std::array<int64_t, 3> in = {8, 8, 8}) {
  try {
    make_geometry(1, 2, in, window);
  } catch (const GeometryError& error) {
    return error.what();
  }
  return "";
}

TEST(OutputLength, MatchesHandCounts) {
  EXPECT_EQ(output_length<int64_t>(8, axis(2, 2, 0, 1), false), 4);
  EXPECT_EQ(output_length<int64_t>(9, axis(2, 2, 0, 1), false), 4);
  EXPECT_EQ(output_length<int64_t>(9, axis(2, 2, 0, 1), true), 5);
  EXPECT_EQ(output_length<int64_t>(7, axis(3, 2, 1, 1), false), 4);
  EXPECT_EQ(output_length<int64_t>(16, axis(3, 2, 1, 3), false), 6);  // positions -1 .. 14, windows 7 wide
  EXPECT_EQ(output_length<int64_t>(1, axis(2, 2, 0, 1), false), 0);
  EXPECT_EQ(output_length<int64_t>(1, axis(2, 2, 0, 1), true), 1);
}

TEST(OutputLength, CeilModeKeepsOnlyWindowsThatStartInsideOrBefore) {
  // The fourth window would start at 6 * 1 - 0 = 6 >= 5.
  EXPECT_EQ(output_length<int64_t>(5, axis(1, 2, 0, 1), true), 3);
  EXPECT_EQ(output_length<int64_t>(4, axis(2, 3, 1, 1), true), 2);
}

TEST(OutputLength, OfTooLittleInputIsRoundedDown) {
  EXPECT_EQ(output_length<int64_t>(1, axis(3, 2, 0, 2), false), -1);  // (1 - 5) / 2 + 1
  EXPECT_EQ(output_length<int64_t>(2, axis(3, 2, 0, 2), false), -1);  // -3 / 2 is -2
  EXPECT_EQ(output_length<int64_t>(2, axis(3, 2, 0, 2), true), 0);
  EXPECT_EQ(output_length<int64_t>(4, axis(9, 5, 0, 1), false), 0);
}

TEST(OutputLength, ExtremeArgumentsDoNotOverflow) {
  // With k = d = 2^31 - 1 and s = 1: 4 - d * (k - 1).
  EXPECT_EQ(output_length<int64_t>(4, axis(int_max, 1, 0, int_max), true), 4 - int_max * (int_max - 1));
  EXPECT_EQ(output_length<int64_t>(4, axis(536870912, 1, 0, 1879048192), true), 4 - 1879048192 * int64_t{536870911});
  EXPECT_EQ(output_length<int64_t>(4, axis(int_max, int_max, 0, int_max), false), 2 - int_max);
  // The first window starts at 0 and has its first tap inside, so ceil mode keeps it.
  EXPECT_EQ(output_length<int64_t>(5, axis(3, int_max, 0, 1 << 30), true), 1);
  EXPECT_EQ(output_length<int64_t>(5, axis(1, 1, 0, int_max), false), 5);
}

TEST(SamePadding, FollowsTensorFlow) {
  for (int64_t in = 1; in < 20; ++in) {
    for (int64_t kernel = 1; kernel < 6; ++kernel) {
      for (int64_t stride = 1; stride < 5; ++stride) {
        const SamePadding<int64_t> pad = same_padding<int64_t>(in, kernel, stride, 1);
        const WindowAxis a{kernel, stride, pad.begin, pad.end, 1};
        EXPECT_EQ(output_length(in, a, false), (in + stride - 1) / stride);
        EXPECT_TRUE(pad.end == pad.begin || pad.end == pad.begin + 1);
      }
    }
  }
}

TEST(Axis, TapsAndWindowsAreTheSameRelation) {
  for (int64_t in : {1, 2, 5, 9})
    for (int64_t kernel : {1, 2, 3, 5})
      for (int64_t stride : {1, 2, 3, 6})
        for (int64_t dilation : {1, 2, 4})
          for (int64_t pad : {0, 1, 2}) {
            if (pad > dilation * (kernel - 1)) continue;
            const WindowAxis w{kernel, stride, pad, pad, dilation};
            const int64_t out = output_length(in, w, false);
            if (out < 1) continue;
            const Axis a{in, out, kernel, stride, pad, dilation};
            bool empty = false;
            for (int64_t o = 0; o < out; ++o) {
              int64_t inside = 0;
              for (int64_t t = 0; t < kernel; ++t) {
                const int64_t i = o * stride - pad + t * dilation;
                const bool in_bounds = i >= 0 && i < in;
                EXPECT_EQ(in_bounds, a.taps(o).begin <= t && t < a.taps(o).end);
                inside += in_bounds;
                if (!in_bounds) continue;
                EXPECT_TRUE(a.windows(i).begin <= o && o < a.windows(i).end);
                EXPECT_EQ(a.tap_on(o, i), t);
              }
              EXPECT_EQ(a.taps(o).size(), inside);
              empty |= inside == 0;
            }
            EXPECT_EQ(a.has_empty_window(), empty);
          }
}

TEST(Errors, UseTorchsWordsInTorchsOrder) {
  EXPECT_EQ(error_of(cube(axis(2, 0, -1, 1))), "stride should not be zero");
  EXPECT_EQ(error_of(cube(axis(2, 1, -1, 1))), "pad must be non-negative, but got pad: -1");
  EXPECT_EQ(error_of(cube(axis(2, 2, 2, 1))),
            "pad should be at most half of effective kernel size, but got pad=2, kernel_size=2 and dilation=1");
  EXPECT_EQ(error_of(cube(axis(0, 1, 0, 1))), "kernel size should be greater than zero, but got kT: 0 kH: 0 kW: 0");
  EXPECT_EQ(error_of(cube(axis(2, -1, 0, 1))), "stride should be greater than zero, but got dT: -1 dH: -1 dW: -1");
  EXPECT_EQ(error_of(cube(axis(2, 1, 0, -2))).substr(0, 61),
            "dilation should be greater than zero, but got dilationT: -2 d");
  EXPECT_EQ(error_of(cube(axis(2, 1, 2, 3))).substr(0, 69),
            "pad should be smaller than or equal to half of kernel size, but got k");
  EXPECT_EQ(error_of(cube(axis(3, 1, 0, 1)), {2, 8, 8}),
            "Given input size: (2x2x8x8). Calculated output size: (2x0x6x6). Output size is too small");
  EXPECT_EQ(error_of(cube(axis(3, 2, 0, 2)), {1, 3, 5}),
            "Given input size: (2x1x3x5). Calculated output size: (2x-1x0x1). Output size is too small");
}

TEST(Errors, NumbersThatDoNotFit) {
  const auto sentence = [](const char* name, int64_t value) {
    return std::string("integer out of range: ") + name + " must fit 32 bits, but got " + std::to_string(value);
  };
  EXPECT_EQ(error_of(cube(axis(int_max + 1, 1, 0, 1))), sentence("kernel_size", int_max + 1));
  EXPECT_EQ(error_of(cube(axis(2, int64_t{1} << 62, 0, 1))), sentence("stride", int64_t{1} << 62));
  EXPECT_EQ(error_of(cube(axis(2, 1, -int_max - 2, 1))), sentence("padding", -int_max - 2));
  EXPECT_EQ(error_of(cube(axis(2, 1, 0, std::numeric_limits<int64_t>::max()))),
            sentence("dilation", std::numeric_limits<int64_t>::max()));
  // ceil mode adds the stride to the length.
  Window window = cube(axis(1, 3, 0, 1));
  window.ceil_mode = true;
  EXPECT_EQ(error_of(window, {8, 8, std::numeric_limits<int64_t>::max()}),
            "integer out of range: an axis has at most 2^62 elements, but got 9223372036854775807");
  EXPECT_EQ(error_of(window, {8, 8, longest_axis}), "");
}

TEST(Errors, PairsOnlyNeedToBeSmallerThanTheEffectiveKernel) {
  Window window = cube(axis(2, 1, 0, 3));
  window.padding_rule = PaddingRule::pairs;
  for (WindowAxis& a : window.axes) a.pad_end = 3;
  EXPECT_EQ(error_of(window), "");
  window.axes[1].pad_end = 4;
  EXPECT_NE(error_of(window).find("smaller than the effective kernel size, but got pad=4"), std::string::npos);
}

TEST(TapCode, TypeFollowsTheNumberOfTaps) {
  const auto type_of = [](int64_t d, int64_t h, int64_t w) {
    const auto along = [](int64_t k) { return Axis{1 << 30, 1, k, 1, 0, 1}; };
    return tap_code({1, 1, {along(d), along(h), along(w)}}).type;
  };
  EXPECT_EQ(type_of(1, 1, 255), TapType::u8);
  EXPECT_EQ(type_of(1, 1, 256), TapType::i32);
  EXPECT_EQ(type_of(1, 1, int_max), TapType::i32);
  EXPECT_EQ(type_of(2, 32768, 32768), TapType::i64);
  EXPECT_EQ(type_of(int_max, int_max, int_max), TapType::i64);
}

TEST(TapCode, PositionsOfForeignCodesAreRefused) {
  const Axis a{4, 4, 3, 1, 1, 1};
  const Geometry g{1, 1, {a, a, a}};
  EXPECT_EQ(input_position(g, tap_code(g), 13, 0, 0, 0), 0);   // the central tap
  EXPECT_EQ(input_position(g, tap_code(g), 0, 0, 0, 0), -1);   // in the padding
  EXPECT_EQ(input_position(g, tap_code(g), 27, 1, 1, 1), -1);  // no tap of this window
  EXPECT_EQ(input_position(g, tap_code(g), 255, 1, 1, 1), -1);
  EXPECT_EQ(input_position(g, tap_code(g), -1, 1, 1, 1), -1);
}

TEST(TapCode, PositionsAsCodesAreRefusedOutsideTheWindow) {
  // 1291^3 taps are more than 2^31: the code is the position inside the input.
  const Axis a{9, 9, 1291, 1, 2, 3};
  const Geometry g{1, 1, {a, a, a}};
  const TapCode code = tap_code(g);
  ASSERT_EQ(code.type, TapType::i64);
  const auto at = [](int64_t d, int64_t h, int64_t w) { return (d * 9 + h) * 9 + w; };
  EXPECT_EQ(input_position(g, code, at(1, 4, 7), 0, 0, 0), at(1, 4, 7));  // taps at -2, 1, 4, 7
  EXPECT_EQ(input_position(g, code, at(1, 4, 6), 0, 0, 0), -1);           // between two taps along w
  EXPECT_EQ(input_position(g, code, at(1, 3, 7), 0, 0, 0), -1);           // along h
  EXPECT_EQ(input_position(g, code, at(0, 4, 7), 0, 0, 0), -1);           // along d
  EXPECT_EQ(input_position(g, code, at(2, 5, 8), 4, 4, 4), at(2, 5, 8));
  EXPECT_EQ(input_position(g, code, at(1, 5, 8), 4, 4, 4), -1);  // before the window
  EXPECT_EQ(input_position(g, code, int64_t{9} * 9 * 9, 0, 0, 0), -1);
  EXPECT_EQ(input_position(g, code, -1, 0, 0, 0), -1);
  // After the last tap of a short axis.
  const Geometry flat{1, 1, {Axis{9, 8, 2, 1, 0, 1}, Axis{9, 9, int_max, 1, 0, 1}, Axis{9, 9, int_max, 1, 0, 1}}};
  EXPECT_EQ(input_position(flat, tap_code(flat), at(1, 0, 0), 0, 0, 0), at(1, 0, 0));
  EXPECT_EQ(input_position(flat, tap_code(flat), at(2, 0, 0), 0, 0, 0), -1);
}

}  // namespace
}  // namespace voxpool::testing
