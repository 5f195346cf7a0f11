#pragma once

#include <ATen/core/Tensor.h>
#include <voxpool/version.h>

#include <optional>
#include <string>
#include <string_view>

#include "ops/arguments.h"

namespace voxpool::ops {

// Which kernels would pool a tensor like `input`, a meta tensor, on a device of type CPU or CUDA, and why each better
// one would not; how the work is divided; and what training would keep. A padding given by name takes the place of
// arguments.padding.
VOXPOOL_API std::string explain(const at::Tensor& input, at::DeviceType device, Arguments arguments,
                                std::optional<std::string_view> padding_name, bool requires_grad, bool return_indices);

}  // namespace voxpool::ops
