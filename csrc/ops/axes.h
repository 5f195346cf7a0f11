#pragma once

#include <voxpool/version.h>

#include <optional>
#include <string_view>
#include <vector>

#include "ops/arguments.h"

namespace voxpool::ops {

// The axes of a pooling of one to three spatial sizes. A padding given by name takes the place of arguments.padding.
// Throws c10::Error where the pooling itself would.
VOXPOOL_API std::vector<Axis> axes(at::IntArrayRef spatial_sizes, Arguments arguments,
                                   std::optional<std::string_view> padding_name);

}  // namespace voxpool::ops
