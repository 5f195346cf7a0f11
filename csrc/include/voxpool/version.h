#pragma once

#include <string>

#if defined(__GNUC__)
#define VOXPOOL_API __attribute__((visibility("default")))
#else
#define VOXPOOL_API
#endif

namespace voxpool {

// Version of the library, such as "0.1.0".
VOXPOOL_API const char* version();

namespace detail {
// A program that reaches the ops by name only, or through a deserialised module, references nothing of the library, and
// linkers drop such a library from the program. Initialising this variable is the reference that keeps it.
[[gnu::used]] inline const char* const linked_version = version();
}  // namespace detail

}  // namespace voxpool
