#pragma once

#include <pybind11/pybind11.h>

#include "bindings/pool.h"

namespace voxpool::bindings {

// A Python function of one tensor that calls `pool`, returning the values, or a tuple of values and indices. Built on
// CPython's own calls with one argument: pybind11 looks at overloads and keywords first, which takes a tenth of a call
// on a small tensor.
pybind11::object bind_pool(Pool pool, bool return_indices);

}  // namespace voxpool::bindings
