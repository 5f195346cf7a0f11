#pragma once

#include <ATen/core/dispatch/Dispatcher.h>

namespace voxpool::ops {

// A typed handle of an op of this library: looked up once, then a call costs no look-up and no boxing.
template <class Signature>
c10::TypedOperatorHandle<Signature> find_op(const char* name, const char* overload = "") {
  return c10::Dispatcher::singleton().findSchemaOrThrow(name, overload).template typed<Signature>();
}

}  // namespace voxpool::ops
