#pragma once

#include <ATen/core/Tensor.h>
#include <voxpool/version.h>

#include <optional>
#include <string>
#include <string_view>

#include "ops/arguments.h"

namespace voxpool::ops {

// Which kernels would pool a tensor like `input` on its device (of a meta tensor: on the CPU), and why each better one
// would not; how the work is divided; and what training would keep. A padding given by name takes the place of
// arguments.padding.
VOXPOOL_API std::string explain(const at::Tensor& input, Arguments arguments,
                                std::optional<std::string_view> padding_name, bool requires_grad, bool return_indices);

}  // namespace voxpool::ops
