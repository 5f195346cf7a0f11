#pragma once

#include <pybind11/pybind11.h>

namespace voxpool::bindings {

// Lets a Python function of one tensor answer ops::stands_for_plain, from now on and for the life of the process.
void set_stands_for_plain(const pybind11::function& predicate);

}  // namespace voxpool::bindings
