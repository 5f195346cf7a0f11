#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/core/dispatch/Dispatcher.h>

#include <string_view>

namespace voxpool::ops {

// Signatures of the pooling ops: kernel_size, stride, padding, dilation, ceil_mode.
template <class Result>
using Pool = Result(const at::Tensor&, at::IntArrayRef, at::IntArrayRef, at::IntArrayRef, at::IntArrayRef, bool);
template <class Result>
using NamedPool = Result(const at::Tensor&, at::IntArrayRef, at::IntArrayRef, std::string_view, at::IntArrayRef, bool);

// A typed handle of an op of this library: looked up once, then a call costs no look-up and no boxing.
template <class Signature>
c10::TypedOperatorHandle<Signature> find_op(const char* name, const char* overload = "") {
  return c10::Dispatcher::singleton().findSchemaOrThrow(name, overload).template typed<Signature>();
}

}  // namespace voxpool::ops
