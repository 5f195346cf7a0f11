#pragma once

#include <ATen/core/Tensor.h>
#include <torch/library.h>

#include <array>
#include <optional>
#include <utility>

#include "core/unpool.h"
#include "ops/checks.h"
#include "ops/layout.h"
#include "ops/unpool.h"

// The unpooling ops on a device that has kernels. A device is
//   static at::Tensor empty(sizes, format, type, device);   an uninitialised dense tensor
//   static void unpool(problem, input, indices, output);    fills the output of an Unpool
//   static void gather(problem, output);
namespace voxpool::ops {

template <class Device>
class UnpoolOps {
  using Tensor = at::Tensor;

 public:
  static void register_all(torch::Library& m) {
    m.impl("_max_unpool3d", max_unpool3d);
    m.impl("_max_unpool3d_gather", max_unpool3d_gather);
  }

 private:
  static Lengths lengths_of(const Tensor& t) {
    return {t.dim() == 5 ? t.size(0) : 1, t.size(-4), t.size(-3), t.size(-2), t.size(-1)};
  }

  // The distance between neighbours in d, h, w order, if it is the same everywhere.
  static std::optional<int64_t> position_stride(const Strides& s, const Lengths& lengths) {
    const std::array<std::pair<int64_t, int64_t>, 3> axes{{{lengths.w, s.w}, {lengths.h, s.h}, {lengths.d, s.d}}};
    int64_t run = 1, stride = s.w;
    if (lengths.positions() == 0) return stride;
    for (const auto& [length, step] : axes) {
      if (length == 1) continue;
      if (run == 1) stride = step;
      if (step != run * stride) return std::nullopt;
      run *= length;
    }
    return stride;
  }

  // Axes that memory does not tell apart become one: a dense volume is a single row.
  static void merge_axes(Lengths& lengths, Strides& a, Strides& b) {
    const auto step_a = position_stride(a, lengths), step_b = position_stride(b, lengths);
    if (!step_a || !step_b) return;
    a.w = *step_a;
    b.w = *step_b;
    lengths = {lengths.n, lengths.c, 1, 1, lengths.positions()};
  }

  static Tensor max_unpool3d(const Tensor& input, const Tensor& indices, at::IntArrayRef output_size,
                             bool channels_last) {
    check_unpool(input, indices, output_size, 3);
    check_memory(input, "input", "_max_unpool3d");
    check_memory(indices, "indices", "_max_unpool3d");
    const Sizes<int64_t> sizes = unpooled_sizes<int64_t>(input.sizes(), output_size);
    const auto format = channels_last ? at::MemoryFormat::ChannelsLast3d : at::MemoryFormat::Contiguous;
    const Tensor output = Device::empty(sizes, format, input.scalar_type(), input.device());
    if (output.numel() == 0) return output;

    const Strides out = kernel_strides(output);
    Unpool problem{
        .lengths = lengths_of(input),
        .volume = output_size[0] * output_size[1] * output_size[2],
        .dtype = scalar_type(input, "max_unpool3d"),
        .input = input.const_data_ptr(),
        .input_strides = kernel_strides(input),
        .indices = indices.const_data_ptr<int64_t>(),
        .index_strides = kernel_strides(indices),
        .output = output.mutable_data_ptr(),
        .output_strides = {out.n, out.c, channels_last ? input.size(-4) : 1},
    };
    merge_axes(problem.lengths, problem.input_strides, problem.index_strides);
    Device::unpool(problem, input, indices, output);
    return output;
  }

  static Tensor max_unpool3d_gather(const Tensor& any_source, const Tensor& indices) {
    check_unpool_gather(any_source, indices);
    check_memory(any_source, "source", "_max_unpool3d_gather");
    check_memory(indices, "indices", "_max_unpool3d_gather");
    const Tensor output =
        Device::empty(indices.sizes(), at::MemoryFormat::Contiguous, any_source.scalar_type(), any_source.device());
    if (output.numel() == 0) return output;

    const Lengths volume = lengths_of(any_source);
    const bool flat = position_stride(kernel_strides(any_source), volume).has_value();
    const Tensor source = flat ? any_source : any_source.contiguous();
    const Strides from = kernel_strides(source);
    UnpoolGather problem{
        .lengths = lengths_of(indices),
        .volume = volume.positions(),
        .dtype = scalar_type(source, "_max_unpool3d_gather"),
        .source = source.const_data_ptr(),
        .source_strides = {from.n, from.c, *position_stride(from, volume)},
        .indices = indices.const_data_ptr<int64_t>(),
        .index_strides = kernel_strides(indices),
        .output = output.mutable_data_ptr(),
        .output_strides = kernel_strides(output),
    };
    merge_axes(problem.lengths, problem.index_strides, problem.output_strides);
    Device::gather(problem, output);
    return output;
  }
};

}  // namespace voxpool::ops
