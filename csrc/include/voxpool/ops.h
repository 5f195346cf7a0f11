#pragma once

#include <ATen/core/Tensor.h>
#include <voxpool/version.h>

#include <concepts>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

// Max-pooling as functions. All of them
//  - take (N, C, D, H, W) or (C, D, H, W) tensors (one and two axes less for 2d and 1d) of any floating dtype or uint8,
//    int8, int16, int32, int64, with any strides; the result has the memory format torch gives it, which is
//    channels_last_3d for an input that is;
//  - accept for kernel_size, stride, padding and dilation one value for all axes or one per axis, for padding also a
//    (begin, end) pair per axis, and take an empty stride for kernel_size;
//  - choose the first maximum of a window in d, h, w order, or the last NaN if there is one;
//  - give -inf (integers: the lowest value) and index -1 for a window without any position inside the input;
//  - are deterministic, forward and backward, and differentiable any number of times in both modes;
//  - throw c10::Error with torch's messages for arguments that describe no pooling, c10::NotImplementedError for other
//    dtypes.
namespace voxpool {

// Padding by name: "valid" is none, "same" gives ceil(size / stride) outputs, the extra cell at the end (TensorFlow's
// rule; excludes ceil_mode). A type of its own, as the literal 0 would convert to a string as well as to a list.
class PaddingMode {
 public:
  template <class Name>
  requires std::convertible_to<const Name&, std::string_view> PaddingMode(const Name& name)
      : name_(std::string_view(name)) {}  // NOLINT: implicit, so that "same" can be written

  const std::string& name() const { return name_; }

 private:
  std::string name_;
};

VOXPOOL_API at::Tensor max_pool3d(const at::Tensor& input, at::IntArrayRef kernel_size, at::IntArrayRef stride = {},
                                  at::IntArrayRef padding = 0, at::IntArrayRef dilation = 1, bool ceil_mode = false);
VOXPOOL_API at::Tensor max_pool3d(const at::Tensor& input, at::IntArrayRef kernel_size, at::IntArrayRef stride,
                                  const PaddingMode& padding, at::IntArrayRef dilation = 1, bool ceil_mode = false);
VOXPOOL_API at::Tensor max_pool2d(const at::Tensor& input, at::IntArrayRef kernel_size, at::IntArrayRef stride = {},
                                  at::IntArrayRef padding = 0, at::IntArrayRef dilation = 1, bool ceil_mode = false);
VOXPOOL_API at::Tensor max_pool2d(const at::Tensor& input, at::IntArrayRef kernel_size, at::IntArrayRef stride,
                                  const PaddingMode& padding, at::IntArrayRef dilation = 1, bool ceil_mode = false);
VOXPOOL_API at::Tensor max_pool1d(const at::Tensor& input, at::IntArrayRef kernel_size, at::IntArrayRef stride = {},
                                  at::IntArrayRef padding = 0, at::IntArrayRef dilation = 1, bool ceil_mode = false);
VOXPOOL_API at::Tensor max_pool1d(const at::Tensor& input, at::IntArrayRef kernel_size, at::IntArrayRef stride,
                                  const PaddingMode& padding, at::IntArrayRef dilation = 1, bool ceil_mode = false);

// The same with the position of each maximum: int64, flat d * H * W + h * W + w inside the unpadded input, what
// torch's max_unpool takes. Changing the indices does not change the gradient.
using TensorAndIndices = std::tuple<at::Tensor, at::Tensor>;
VOXPOOL_API TensorAndIndices max_pool3d_with_indices(const at::Tensor& input, at::IntArrayRef kernel_size,
                                                     at::IntArrayRef stride = {}, at::IntArrayRef padding = 0,
                                                     at::IntArrayRef dilation = 1, bool ceil_mode = false);
VOXPOOL_API TensorAndIndices max_pool3d_with_indices(const at::Tensor& input, at::IntArrayRef kernel_size,
                                                     at::IntArrayRef stride, const PaddingMode& padding,
                                                     at::IntArrayRef dilation = 1, bool ceil_mode = false);
VOXPOOL_API TensorAndIndices max_pool2d_with_indices(const at::Tensor& input, at::IntArrayRef kernel_size,
                                                     at::IntArrayRef stride = {}, at::IntArrayRef padding = 0,
                                                     at::IntArrayRef dilation = 1, bool ceil_mode = false);
VOXPOOL_API TensorAndIndices max_pool2d_with_indices(const at::Tensor& input, at::IntArrayRef kernel_size,
                                                     at::IntArrayRef stride, const PaddingMode& padding,
                                                     at::IntArrayRef dilation = 1, bool ceil_mode = false);
VOXPOOL_API TensorAndIndices max_pool1d_with_indices(const at::Tensor& input, at::IntArrayRef kernel_size,
                                                     at::IntArrayRef stride = {}, at::IntArrayRef padding = 0,
                                                     at::IntArrayRef dilation = 1, bool ceil_mode = false);
VOXPOOL_API TensorAndIndices max_pool1d_with_indices(const at::Tensor& input, at::IntArrayRef kernel_size,
                                                     at::IntArrayRef stride, const PaddingMode& padding,
                                                     at::IntArrayRef dilation = 1, bool ceil_mode = false);

// The way back: every element of `input` at its position in `indices`, which are those of max_pool*_with_indices or
// torch's, zero elsewhere. Sizes of the result: (n - 1) * stride + kernel - 2 * padding, or `output_size` unless empty,
// which has one value per axis, or batch and channels in front, and lies less than a stride away from that. dtypes as
// above; indices are int64. The result is contiguous; that of max_unpool2d is channels-last for a batched input that
// is.
//  - Of several elements with one index the last in d, h, w order wins. On CUDA that is so where
//    at::globalContext().deterministicAlgorithms() is set, otherwise any of them.
//  - The index -1 is left out. Another one outside the output throws c10::Error on the CPU, and is left out on CUDA.
//  - The gradient is the gradient of the output at the indices, as torch's: elements that did not win get it too.
VOXPOOL_API at::Tensor max_unpool3d(const at::Tensor& input, const at::Tensor& indices, at::IntArrayRef kernel_size,
                                    at::IntArrayRef stride = {}, at::IntArrayRef padding = 0,
                                    at::IntArrayRef output_size = {});
VOXPOOL_API at::Tensor max_unpool2d(const at::Tensor& input, const at::Tensor& indices, at::IntArrayRef kernel_size,
                                    at::IntArrayRef stride = {}, at::IntArrayRef padding = 0,
                                    at::IntArrayRef output_size = {});
VOXPOOL_API at::Tensor max_unpool1d(const at::Tensor& input, const at::Tensor& indices, at::IntArrayRef kernel_size,
                                    at::IntArrayRef stride = {}, at::IntArrayRef padding = 0,
                                    at::IntArrayRef output_size = {});

// Spatial sizes of the result for spatial sizes of the input, of which there are one to three:
// output_size({32, 32, 16}, 2) is {16, 16, 8}. Throws c10::Error where pooling an input of these sizes would, and for
// another number of sizes.
VOXPOOL_API std::vector<int64_t> output_size(at::IntArrayRef input_size, at::IntArrayRef kernel_size,
                                             at::IntArrayRef stride = {}, at::IntArrayRef padding = 0,
                                             at::IntArrayRef dilation = 1, bool ceil_mode = false);
VOXPOOL_API std::vector<int64_t> output_size(at::IntArrayRef input_size, at::IntArrayRef kernel_size,
                                             at::IntArrayRef stride, const PaddingMode& padding,
                                             at::IntArrayRef dilation = 1, bool ceil_mode = false);

}  // namespace voxpool
