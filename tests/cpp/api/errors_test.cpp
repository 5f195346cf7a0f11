#include <gtest/gtest.h>
#include <torch/torch.h>
#include <voxpool/voxpool.h>

#include <limits>

// Bad input: torch's sentence, and the process goes on.
namespace {

using at::Tensor;

template <class F>
std::string error_of(F&& f) {
  try {
    f();
  } catch (const c10::Error& error) {
    return error.what_without_backtrace();
  }
  return "no error";
}

Tensor call(const char* op, const Tensor& grad_output, const Tensor& taps, at::IntArrayRef input_size) {
  using Signature = Tensor(const Tensor&, const Tensor&, c10::SymIntArrayRef, at::IntArrayRef, at::IntArrayRef,
                           at::IntArrayRef, at::IntArrayRef, bool);
  const auto handle = c10::Dispatcher::singleton().findSchemaOrThrow(op, "").typed<Signature>();
  return handle.call(grad_output, taps, c10::fromIntArrayRefSlow(input_size), 2, {}, 0, 1, false);
}

#define EXPECT_ERROR(expression, text)                                                        \
  do {                                                                                        \
    const std::string got = error_of([&] { expression; });                                    \
    EXPECT_NE(got.find(text), std::string::npos) << "expected: " << text << "\ngot: " << got; \
  } while (false)

TEST(Errors, Arguments) {
  const Tensor x = at::ones({1, 2, 4, 4, 4});
  EXPECT_ERROR(voxpool::max_pool3d(x, {2, 2}),
               "max_pool3d: kernel_size must either be a single int, or a tuple of three ints");
  EXPECT_ERROR(voxpool::max_pool3d(x, 2, {2, 2}),
               "max_pool3d: stride must either be omitted, a single int, or a tuple of three ints");
  EXPECT_ERROR(voxpool::max_pool3d(x, 2, {}, {0, 0}),
               "max_pool3d: padding must either be a single int, or a tuple of three ints");
  EXPECT_ERROR(voxpool::max_pool3d(x, 2, {}, 0, {1, 1}),
               "max_pool3d: dilation must be either a single int, or a tuple of three ints");
  EXPECT_ERROR(voxpool::max_pool3d(x, int64_t{1} << 31), "integer out of range");
  EXPECT_ERROR(voxpool::max_pool3d(x, 2, 0), "stride should not be zero");
  EXPECT_ERROR(voxpool::max_pool3d(x, 0, 1), "kernel size should be greater than zero, but got kT: 0 kH: 0 kW: 0");
  EXPECT_ERROR(voxpool::max_pool3d(x, 2, 1, -1), "pad must be non-negative, but got pad: -1");
  EXPECT_ERROR(voxpool::max_pool3d(x, 3, 1, 2), "pad should be at most half of effective kernel size, but got pad=2");
  EXPECT_ERROR(voxpool::max_pool3d(x, 2, 1, 0, 0), "dilation should be greater than zero");
  EXPECT_ERROR(voxpool::max_pool3d(x, 2, 2, "some"), "padding must be 'valid' or 'same'");
  EXPECT_ERROR(voxpool::max_pool3d(x, 2, 2, "same", 1, true), "ceil_mode");
  EXPECT_ERROR(voxpool::max_pool2d(x[0], {2, 2, 2}), "max_pool2d: kernel_size must either be a single int");
  EXPECT_ERROR(voxpool::max_pool1d(x[0][0], {2, 2}), "max_pool1d() kernel_size must be");
}

TEST(Errors, Shapes) {
  EXPECT_ERROR(voxpool::max_pool3d(at::ones({4, 4, 4}), 2),
               "non-empty 4D or 5D (batch mode) tensor expected for input");
  EXPECT_ERROR(voxpool::max_pool2d(at::ones({4, 4}), 2), "non-empty 3D or 4D (batch mode) tensor expected for input");
  EXPECT_ERROR(voxpool::max_pool3d(at::ones({1, 2, 0, 4, 4}), 1), "has length zero! That is dimension 2.");
  EXPECT_ERROR(voxpool::max_pool3d(at::ones({1, 2, 4, 4, 4}), 5),
               "Given input size: (2x4x4x4). Calculated output size: (2x0x0x0). Output size is too small");
}

TEST(Errors, Dtypes) {
  EXPECT_THROW(voxpool::max_pool3d(at::ones({1, 1, 2, 2, 2}, at::kBool), 2), c10::NotImplementedError);
  EXPECT_ERROR(voxpool::max_pool3d(at::ones({1, 1, 2, 2, 2}, at::kComplexFloat), 2),
               "\"max_pool3d\" not implemented for 'ComplexFloat'");
}

TEST(Errors, Backward) {
  constexpr const char* op = "voxpool::_max_pool3d_backward";
  const Tensor gradient = at::ones({1, 1, 2, 2, 2}), taps = at::zeros({1, 1, 2, 2, 2}, at::kByte);
  const std::vector<int64_t> size{1, 1, 4, 4, 4};
  EXPECT_ERROR(call(op, at::ones({2, 1, 2, 2, 2}), taps, size), "of shape [1, 1, 2, 2, 2]");
  EXPECT_ERROR(call(op, at::ones({2, 1, 2, 2, 2}), taps, size), "but got [2, 1, 2, 2, 2]");
  EXPECT_ERROR(call(op, gradient, at::zeros({1, 1, 2, 2, 1}, at::kByte), size), "expected taps of shape");
  EXPECT_ERROR(call(op, gradient, taps.to(at::kInt), size), "expected dtype Byte for `taps`");
  EXPECT_ERROR(call(op, gradient.to(at::kLong), taps, size), "for `gradOutput` but got dtype Long");
  // Taps that no window has are followed nowhere.
  EXPECT_EQ(call(op, gradient, at::full({1, 1, 2, 2, 2}, 200, at::kByte), size).sum().item<float>(), 0);
}

// Tensors without anything behind them, which Python has no way to pass.
TEST(Errors, UndefinedTensors) {
  const Tensor none, y = at::ones({1, 1, 2, 2, 2}), indices = at::zeros({1, 1, 2, 2, 2}, at::kLong);
  const std::vector<int64_t> size{1, 1, 4, 4, 4};
  EXPECT_THROW(voxpool::max_pool3d(none, 2), c10::Error);
  EXPECT_THROW(voxpool::max_pool2d(none, 2), c10::Error);
  EXPECT_THROW(voxpool::max_pool1d(none, 2), c10::Error);
  EXPECT_THROW(voxpool::max_pool3d_with_indices(none, 2), c10::Error);
  EXPECT_THROW(voxpool::max_pool2d_with_indices(none, 2), c10::Error);
  EXPECT_THROW(voxpool::max_pool1d_with_indices(none, 2), c10::Error);
  EXPECT_THROW(voxpool::max_pool3d(none, 2, 2, "same"), c10::Error);
  EXPECT_THROW(voxpool::max_pool2d(none, 2, 2, "valid"), c10::Error);
  for (const auto& unpool : {voxpool::max_unpool3d, voxpool::max_unpool2d, voxpool::max_unpool1d}) {
    EXPECT_THROW(unpool(none, indices, 2, {}, 0, {}), c10::Error);
    EXPECT_THROW(unpool(y, none, 2, {}, 0, {}), c10::Error);
    EXPECT_THROW(unpool(none, none, 2, {}, 0, {}), c10::Error);
  }
  EXPECT_THROW(call("voxpool::_max_pool3d_backward", none, at::zeros(y.sizes(), at::kByte), size), c10::Error);
  EXPECT_THROW(call("voxpool::_max_pool3d_backward", y, none, size), c10::Error);
  EXPECT_EQ(voxpool::max_pool3d(y, 2).item<float>(), 1);
}

// A length whose sums with a padding leave 64 bits.
TEST(Errors, LengthsBeyondWhatCanBeAdded) {
  constexpr int64_t longest = std::numeric_limits<int64_t>::max();
  EXPECT_ERROR(voxpool::output_size({longest}, 3, 2, "same"), "integer out of range");
  EXPECT_ERROR(voxpool::output_size({4, longest}, 3, 2, 1), "integer out of range");
  EXPECT_EQ(voxpool::output_size({longest / 2 + 1}, 1, 1), (std::vector<int64_t>{longest / 2 + 1}));
}

}  // namespace
