#include "ops/axes.h"

namespace voxpool::ops {

std::vector<Axis> axes(at::IntArrayRef spatial_sizes, Arguments arguments,
                       std::optional<std::string_view> padding_name) {
  const size_t count = spatial_sizes.size();
  TORCH_CHECK(count >= 1 && count <= 3, "output_size: expected one to three spatial sizes, but got ", count);
  const int dims = static_cast<int>(count);
  // With one channel, as the rules for shapes are those of tensors.
  Sizes<int64_t> sizes{1};
  sizes.append(spatial_sizes.begin(), spatial_sizes.end());
  c10::SmallVector<int64_t, 6> pads;
  if (padding_name) {
    pads = named_padding<int64_t>(*padding_name, arguments, sizes, dims);
    arguments.padding = pads;
  }
  const Window window = parse_window(arguments, dims);
  const Sizes<int64_t> pooled = pooled_sizes<int64_t>(sizes, window);
  std::vector<Axis> result;
  for (size_t i = 0; i < count; ++i) {
    const WindowAxis& axis = window.axes[3 - count + i];
    result.push_back({spatial_sizes[i], pooled[i + 1], axis.kernel, axis.stride, axis.pad_begin, axis.dilation});
  }
  return result;
}

}  // namespace voxpool::ops
