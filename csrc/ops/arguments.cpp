#include "ops/arguments.h"

#include <c10/util/Exception.h>

#include <array>
#include <limits>
#include <optional>
#include <sstream>
#include <string>

namespace voxpool::ops {
namespace {

constexpr std::array count_words = {"", "one int", "two ints", "three ints"};

// What torch says when an argument has the wrong number of values.
std::string length_error(std::string_view name, size_t got, int spatial_dims) {
  std::ostringstream text;
  if (spatial_dims == 1) {
    text << "max_pool1d() " << name << " must be "
         << (name == "stride"    ? "None, an int, list of ints, or tuple of ints"
             : name == "padding" ? "an int, list of ints, or tuple of ints"
                                 : "an int, list of ints or tuple of ints")
         << " of size 1 but got size " << got;
    return text.str();
  }
  text << "max_pool" << spatial_dims << "d: " << name << " must "
       << (name == "stride"     ? "either be omitted, a single int, or a tuple of "
           : name == "dilation" ? "be either a single int, or a tuple of "
                                : "either be a single int, or a tuple of ")
       << count_words[spatial_dims];
  if (name == "padding") text << ", or one (begin, end) pair per axis";
  text << ", but got " << got << (got == 1 ? " value" : " values");
  return text.str();
}

template <class F>
auto with_torch_errors(F&& f) {
  try {
    return f();
  } catch (const GeometryError& error) {
    TORCH_CHECK(false, error.what());
  }
}

// Values of one argument spread over the axes; `per_axis` values lie next to each other for one axis.
class Values {
 public:
  Values(std::string_view name, at::IntArrayRef values, int spatial_dims, bool pairs_allowed = false)
      : values_(values), spatial_dims_(spatial_dims) {
    const size_t count = values.size(), axes = static_cast<size_t>(spatial_dims);
    const bool fits = count == 1 || count == axes || (pairs_allowed && count == 2 * axes);
    TORCH_CHECK(fits, length_error(name, count, spatial_dims));
    for (const int64_t value : values) with_torch_errors([&] { check_range(name, value); });
  }

  bool pairs() const { return values_.size() == 2 * static_cast<size_t>(spatial_dims_); }
  int64_t at(int axis) const { return values_.size() == 1 ? values_[0] : values_[axis]; }
  int64_t begin(int axis) const { return pairs() ? values_[2 * axis] : at(axis); }
  int64_t end(int axis) const { return pairs() ? values_[2 * axis + 1] : at(axis); }

 private:
  at::IntArrayRef values_;
  int spatial_dims_;
};

// torch words the checks of the values differently for one axis; what remains is left to check_window.
void check_values_1d(const WindowAxis& axis, PaddingRule rule) {
  TORCH_CHECK(axis.kernel > 0, "max_pool1d() kernel_size must be greater than zero, but got ", axis.kernel);
  TORCH_CHECK(axis.stride > 0, "max_pool1d() stride must be greater than zero, but got ", axis.stride);
  for (const int64_t pad : {axis.pad_begin, axis.pad_end}) {
    TORCH_CHECK(pad >= 0, "max_pool1d() padding must be non-negative, but got ", pad);
    TORCH_CHECK(rule == PaddingRule::pairs || pad <= axis.kernel / 2,
                "max_pool1d() padding should be at most half of kernel size, but got padding=", pad,
                " and kernel_size=", axis.kernel);
  }
  TORCH_CHECK(axis.dilation > 0, "max_pool1d() dilation must be greater than zero, but got ", axis.dilation);
}

// A length in numbers; a symbolic one is left alone, as asking would become a guard of the compiled program.
std::optional<int64_t> number(int64_t length) { return length; }
std::optional<int64_t> number(const c10::SymInt& length) { return length.maybe_as_int(); }

template <class Int>
void check_lengths(c10::ArrayRef<Int> input, int spatial_dims) {
  const size_t first = input.size() - spatial_dims - 1;
  for (size_t i = first; i < input.size(); ++i) {
    with_torch_errors([&] { check_length_range(number(input[i]).value_or(0)); });
    if (input[i] > 0) continue;
    TORCH_CHECK(spatial_dims == 3, spatial_dims == 1 ? "max_pool1d: " : "", "Expected ", spatial_dims + 1, "D or ",
                spatial_dims + 2, "D (batch mode) tensor with optional 0 dim batch size for input, but got:", input);
    // torch prints the length where it means the dimension, and never sees a negative one.
    TORCH_CHECK(false,
                "max_pool3d: Expected input's non-batch dimensions to have positive length, but input has a "
                "shape of ",
                input, " and non-batch dimension ", input[i], " has ",
                input[i] < 0 ? "a negative length" : "length zero", "! That is dimension ", i, '.');
  }
}

template <class Int>
[[noreturn]] void throw_too_small(c10::ArrayRef<Int> input, c10::ArrayRef<Int> output, int spatial_dims) {
  const auto format = [&](c10::ArrayRef<Int> sizes) {
    std::ostringstream text;
    for (size_t i = sizes.size() - spatial_dims - 1; i < sizes.size(); ++i) {
      text << (text.tellp() == 0 ? '(' : 'x') << sizes[i];
    }
    text << ')';
    return text.str();
  };
  if (spatial_dims == 1) {
    TORCH_CHECK(false, "max_pool1d() Invalid computed output size: ", output.back());
  }
  with_torch_errors([&] { throw_output_too_small(format(input), format(output)); });
  __builtin_unreachable();
}

}  // namespace

Window parse_window(const Arguments& arguments, int spatial_dims) {
  const Values kernel("kernel_size", arguments.kernel_size, spatial_dims);
  const Values stride("stride", arguments.stride.empty() ? arguments.kernel_size : arguments.stride, spatial_dims);
  const Values padding("padding", arguments.padding, spatial_dims, /*pairs_allowed=*/true);
  const Values dilation("dilation", arguments.dilation, spatial_dims);

  Window window;
  window.ceil_mode = arguments.ceil_mode;
  window.spatial_dims = spatial_dims;
  window.padding_rule = padding.pairs() ? PaddingRule::pairs : PaddingRule::symmetric;
  for (int i = 0; i < spatial_dims; ++i) {
    window.axes[3 - spatial_dims + i] = {kernel.at(i), stride.at(i), padding.begin(i), padding.end(i), dilation.at(i)};
  }
  return window;
}

template <class Int>
void check_rank(c10::ArrayRef<Int> sizes, int spatial_dims) {
  const int rank = static_cast<int>(sizes.size());
  if (rank == spatial_dims + 1 || rank == spatial_dims + 2) return;
  TORCH_CHECK(spatial_dims != 1,
              "max_pool1d: Expected 2D or 3D (batch mode) tensor with optional 0 dim batch size for ",
              "input, but got:", sizes);
  TORCH_CHECK(false, "non-empty ", spatial_dims + 1, "D or ", spatial_dims + 2,
              "D (batch mode) tensor expected for input, but got a tensor of shape ", sizes);
}

template <class Int>
c10::SmallVector<Int, 6> named_padding(std::string_view name, const Arguments& arguments, c10::ArrayRef<Int> sizes,
                                       int spatial_dims) {
  TORCH_CHECK(name == "same" || name == "valid", "padding must be 'valid' or 'same', an int, one int per axis or one ",
              "(begin, end) pair per axis, but got '", name, "'");
  c10::SmallVector<Int, 6> pads(2 * static_cast<size_t>(spatial_dims), Int(0));
  if (name == "valid") return pads;

  TORCH_CHECK(!arguments.ceil_mode, "padding='same' fixes the output size by itself and excludes ceil_mode=True");
  static constexpr int64_t no_padding[] = {0};
  const Window window =
      parse_window({arguments.kernel_size, arguments.stride, no_padding, arguments.dilation, false}, spatial_dims);
  check_rank(sizes, spatial_dims);
  if (spatial_dims == 1) check_values_1d(window.axes[2], window.padding_rule);
  with_torch_errors([&] { check_window(window); });
  check_lengths(sizes, spatial_dims);
  for (int i = 0; i < spatial_dims; ++i) {
    const WindowAxis& axis = window.axes[3 - spatial_dims + i];
    const Int& in = sizes[sizes.size() - spatial_dims + i];
    const SamePadding<Int> same = same_padding(in, axis.kernel, axis.stride, axis.dilation);
    TORCH_CHECK(same.end <= std::numeric_limits<int>::max(),
                "integer out of range: padding='same' with kernel_size=", axis.kernel, " and dilation=", axis.dilation,
                " needs a padding of ", same.end, ", which does not fit 32 bits");
    pads[2 * i] = same.begin;
    pads[2 * i + 1] = same.end;
  }
  return pads;
}

template <class Int>
Sizes<Int> pooled_sizes(c10::ArrayRef<Int> input, const Window& window) {
  const int spatial_dims = window.spatial_dims;
  check_rank(input, spatial_dims);
  if (spatial_dims == 1) check_values_1d(window.axes[2], window.padding_rule);
  with_torch_errors([&] { check_window(window); });
  check_lengths(input, spatial_dims);
  with_torch_errors([&] { check_half_padding(window); });

  Sizes<Int> output(input.begin(), input.end());
  bool too_small = false;
  for (int i = 0; i < spatial_dims; ++i) {
    const size_t dim = input.size() - spatial_dims + i;
    output[dim] = output_length<Int>(input[dim], window.axes[3 - spatial_dims + i], window.ceil_mode);
    too_small = too_small || output[dim] < 1;
  }
  if (too_small) throw_too_small<Int>(input, output, spatial_dims);
  return output;
}

Pooling parse_pooling(at::IntArrayRef input, const Arguments& arguments) {
  const Window window = parse_window(arguments, 3);
  Sizes<int64_t> output = pooled_sizes<int64_t>(input, window);
  const size_t spatial = input.size() - 3;
  const auto lengths = [&](at::IntArrayRef sizes) {
    return std::array<int64_t, 3>{sizes[spatial], sizes[spatial + 1], sizes[spatial + 2]};
  };
  const int64_t batch = input.size() == 5 ? input[0] : 1;
  const Geometry geometry = geometry_of(batch, input[spatial - 1], lengths(input), lengths(output), window);
  return {geometry, tap_code(geometry), std::move(output)};
}

TapType tap_type(const Window& window) {
  Geometry geometry{1, 1, {}};
  for (int i = 0; i < 3; ++i) geometry.axes[i] = {1, 1, window.axes[i].kernel, 1, 0, 1};
  return tap_code(geometry).type;
}

template void check_rank(at::IntArrayRef, int);
template void check_rank(c10::SymIntArrayRef, int);
template c10::SmallVector<int64_t, 6> named_padding(std::string_view, const Arguments&, at::IntArrayRef, int);
template c10::SmallVector<c10::SymInt, 6> named_padding(std::string_view, const Arguments&, c10::SymIntArrayRef, int);
template Sizes<int64_t> pooled_sizes(at::IntArrayRef, const Window&);
template Sizes<c10::SymInt> pooled_sizes(c10::SymIntArrayRef, const Window&);

}  // namespace voxpool::ops
