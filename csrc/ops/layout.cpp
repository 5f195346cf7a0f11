#include "ops/layout.h"

namespace voxpool::ops {

at::MemoryFormat output_format(const at::Tensor& input) {
  if (input.dim() == 5) {
    const at::MemoryFormat format = input.suggest_memory_format();
    return format == at::MemoryFormat::ChannelsLast3d ? format : at::MemoryFormat::Contiguous;
  }
  const at::Tensor batched = input.unsqueeze(0);
  const bool channels_last = !batched.is_contiguous() && batched.is_contiguous(at::MemoryFormat::ChannelsLast3d);
  return channels_last ? at::MemoryFormat::ChannelsLast3d : at::MemoryFormat::Contiguous;
}

at::MemoryFormat input_gradient_format(const at::Tensor& taps) {
  return taps.dim() == 5 ? output_format(taps) : at::MemoryFormat::Contiguous;
}

template <class Int>
Sizes<Int> dense_strides(c10::ArrayRef<Int> sizes, at::MemoryFormat format) {
  static constexpr int contiguous[] = {4, 3, 2, 1, 0}, channels_last[] = {1, 4, 3, 2, 0};
  const int missing = 5 - static_cast<int>(sizes.size());
  Sizes<Int> strides(sizes.size(), Int(1));
  Int next(1);
  for (const int dim : format == at::MemoryFormat::ChannelsLast3d ? channels_last : contiguous) {
    if (dim < missing) continue;
    strides[dim - missing] = next;
    // torch steps over an empty batch as if it had one element.
    if (sizes[dim - missing] != 0) next = next * sizes[dim - missing];
  }
  return strides;
}

template Sizes<int64_t> dense_strides(at::IntArrayRef, at::MemoryFormat);
template Sizes<c10::SymInt> dense_strides(c10::SymIntArrayRef, at::MemoryFormat);

Strides kernel_strides(const at::Tensor& tensor) {
  const at::IntArrayRef sizes = tensor.sizes(), strides = tensor.strides();
  const size_t c = sizes.size() - 4;
  Strides result{c == 1 ? strides[0] : 0, strides[c], strides[c + 1], strides[c + 2], strides[c + 3]};
  if (sizes[c + 3] == 1) result.w = result.c == 1 ? sizes[c] : 1;
  if (sizes[c] == 1 && result.w != 1) result.c = 1;
  return result;
}

bool same_layout(const at::Tensor& a, const at::Tensor& b) {
  for (int64_t dim = 0; dim < a.dim(); ++dim) {
    if (a.size(dim) != b.size(dim) || (a.size(dim) > 1 && a.stride(dim) != b.stride(dim))) return false;
  }
  return true;
}

}  // namespace voxpool::ops
