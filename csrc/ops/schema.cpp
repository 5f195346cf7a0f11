#include <torch/library.h>

// Every op is functional. The strides of a result follow from those of the input, so a compiler must not hand over an
// input with others than the fake kernel saw: needs_fixed_stride_order.
TORCH_LIBRARY(voxpool, m) {
  const std::vector<at::Tag> tags = {at::Tag::pt2_compliant_tag, at::Tag::needs_fixed_stride_order};

  // padding: one value, one per axis (d, h, w), or one (begin, end) pair per axis (d0, d1, h0, h1, w0, w1).
  m.def(
      "max_pool3d(Tensor input, int[3] kernel_size, int[3] stride=[], int[3] padding=0, int[3] dilation=1, "
      "bool ceil_mode=False) -> Tensor",
      tags);
  m.def(
      "max_pool3d_with_indices(Tensor input, int[3] kernel_size, int[3] stride=[], int[3] padding=0, "
      "int[3] dilation=1, bool ceil_mode=False) -> (Tensor, Tensor)",
      tags);
  m.def(
      "max_pool2d(Tensor input, int[2] kernel_size, int[2] stride=[], int[2] padding=0, int[2] dilation=1, "
      "bool ceil_mode=False) -> Tensor",
      tags);
  m.def(
      "max_pool2d_with_indices(Tensor input, int[2] kernel_size, int[2] stride=[], int[2] padding=0, "
      "int[2] dilation=1, bool ceil_mode=False) -> (Tensor, Tensor)",
      tags);
  m.def(
      "max_pool1d(Tensor input, int[1] kernel_size, int[1] stride=[], int[1] padding=0, int[1] dilation=1, "
      "bool ceil_mode=False) -> Tensor",
      tags);
  m.def(
      "max_pool1d_with_indices(Tensor input, int[1] kernel_size, int[1] stride=[], int[1] padding=0, "
      "int[1] dilation=1, bool ceil_mode=False) -> (Tensor, Tensor)",
      tags);

  // padding: 'valid' or 'same'.
  m.def(
      "max_pool3d.padding(Tensor input, int[3] kernel_size, int[3] stride=[], str padding=\"valid\", "
      "int[3] dilation=1, bool ceil_mode=False) -> Tensor",
      tags);
  m.def(
      "max_pool3d_with_indices.padding(Tensor input, int[3] kernel_size, int[3] stride=[], str padding=\"valid\", "
      "int[3] dilation=1, bool ceil_mode=False) -> (Tensor, Tensor)",
      tags);
  m.def(
      "max_pool2d.padding(Tensor input, int[2] kernel_size, int[2] stride=[], str padding=\"valid\", "
      "int[2] dilation=1, bool ceil_mode=False) -> Tensor",
      tags);
  m.def(
      "max_pool2d_with_indices.padding(Tensor input, int[2] kernel_size, int[2] stride=[], str padding=\"valid\", "
      "int[2] dilation=1, bool ceil_mode=False) -> (Tensor, Tensor)",
      tags);
  m.def(
      "max_pool1d.padding(Tensor input, int[1] kernel_size, int[1] stride=[], str padding=\"valid\", "
      "int[1] dilation=1, bool ceil_mode=False) -> Tensor",
      tags);
  m.def(
      "max_pool1d_with_indices.padding(Tensor input, int[1] kernel_size, int[1] stride=[], str padding=\"valid\", "
      "int[1] dilation=1, bool ceil_mode=False) -> (Tensor, Tensor)",
      tags);

  // What training and the transforms are made of.
  m.def(
      "_max_pool3d_taps(Tensor input, int[3] kernel_size, int[3] stride=[], int[3] padding=0, int[3] dilation=1, "
      "bool ceil_mode=False) -> (Tensor output, Tensor taps)",
      tags);
  m.def(
      "_max_pool3d_backward(Tensor grad_output, Tensor taps, SymInt[] input_size, int[3] kernel_size, "
      "int[3] stride=[], int[3] padding=0, int[3] dilation=1, bool ceil_mode=False) -> Tensor",
      tags);
  m.def(
      "_max_pool3d_gather(Tensor input, Tensor taps, int[3] kernel_size, int[3] stride=[], int[3] padding=0, "
      "int[3] dilation=1, bool ceil_mode=False) -> Tensor",
      tags);
  m.def(
      "_max_pool3d_indices(Tensor taps, SymInt[] input_size, int[3] kernel_size, int[3] stride=[], "
      "int[3] padding=0, int[3] dilation=1, bool ceil_mode=False) -> Tensor",
      tags);
}
