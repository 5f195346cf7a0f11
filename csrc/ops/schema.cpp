#include <torch/library.h>

#include <string>

namespace {

// Every op is functional. The strides of a result follow from those of the input, so a compiler must not hand over an
// input with others than the fake kernel saw: needs_fixed_stride_order.
void define(torch::Library& m, const std::string& schema) {
  m.def(schema.c_str(), {at::Tag::pt2_compliant_tag, at::Tag::needs_fixed_stride_order});
}

// The arguments after the tensors. padding: one value, one per axis (d, h, w), or one (begin, end) pair per axis
// (d0, d1, h0, h1, w0, w1).
std::string arguments(int axes) {
  const std::string ints = "int[" + std::to_string(axes) + "]";
  return ints + " kernel_size, " + ints + " stride=[], " + ints + " padding=0, " + ints + " dilation=1, " +
         "bool ceil_mode=False";
}

// The same with padding 'valid' or 'same'.
std::string arguments_with_named_padding(int axes) {
  const std::string ints = "int[" + std::to_string(axes) + "]";
  return ints + " kernel_size, " + ints + " stride=[], str padding=\"valid\", " + ints + " dilation=1, " +
         "bool ceil_mode=False";
}

// A pooling over some axes, with both kinds of padding.
void define_pool(torch::Library& m, const std::string& name, int axes, const std::string& result) {
  define(m, name + "(Tensor input, " + arguments(axes) + ") -> " + result);
  define(m, name + ".padding(Tensor input, " + arguments_with_named_padding(axes) + ") -> " + result);
}

}  // namespace

TORCH_LIBRARY(voxpool, m) {
  for (const int axes : {3, 2, 1}) {
    const std::string name = "max_pool" + std::to_string(axes) + "d";
    define_pool(m, name, axes, "Tensor");
    define_pool(m, name + "_with_indices", axes, "(Tensor, Tensor)");
    // ReLU and pooling in one: zero where the maximum is not above zero, NaN stays.
    define_pool(m, "_" + name + "_relu", axes, "Tensor");
  }

  // An output_size may have the batch and the channels in front.
  for (const int axes : {3, 2, 1}) {
    const std::string ints = "int[" + std::to_string(axes) + "]";
    define(m, "max_unpool" + std::to_string(axes) + "d(Tensor input, Tensor indices, " + ints + " kernel_size, " +
                  ints + "? stride=None, " + ints + " padding=0, SymInt[]? output_size=None) -> Tensor");
  }

  // What training and the transforms are made of.
  const std::string a = arguments(3);
  define(m, "_max_pool3d_taps(Tensor input, " + a + ") -> (Tensor output, Tensor taps)");
  define(m, "_max_pool3d_relu_taps(Tensor input, " + a + ") -> (Tensor output, Tensor taps)");
  define(m, "_max_pool3d_backward(Tensor grad_output, Tensor taps, SymInt[] input_size, " + a + ") -> Tensor");
  define(m, "_max_pool3d_gather(Tensor input, Tensor taps, " + a + ") -> Tensor");
  define(m, "_max_pool3d_indices(Tensor taps, SymInt[] input_size, " + a + ") -> Tensor");
  define(m, "_max_unpool3d(Tensor input, Tensor indices, SymInt[] output_size, bool channels_last=False) -> Tensor");
  define(m, "_max_unpool3d_gather(Tensor source, Tensor indices) -> Tensor");
}
