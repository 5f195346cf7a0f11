#include "ops/explain.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/empty_strided.h>

#include <sstream>

#include "cuda/device.h"
#include "ops/checks.h"
#include "ops/cuda_kernels.h"
#include "ops/layout.h"
#include "ops/parallel.h"
#include "ops/problems.h"

namespace voxpool::ops {
namespace {

// Which kernel runs a problem on a device, and what was in the way of the better ones.
template <class Problem>
void describe(std::ostream& text, const char* title, at::DeviceType device, const Problem& problem, int64_t bytes) {
  text << title << ":\n";
  const auto refused = [&](const char* name, const char* reason) {
    text << "  " << name << ": refused, " << reason << '\n';
  };
  if (device == at::kCUDA) {
    for (const auto& [name, reason] : cuda_refusals(problem)) {
      if (reason == nullptr) return void(text << "  " << name << ": runs\n");
      refused(name, reason);
    }
    return void(text << "  nothing: this voxpool was built without CUDA\n");
  }
  for (const Variant<Problem>* variant : cpu::kernel_table(cpu::capability()).of(problem)) {
    if (const char* reason = variant->refusal(problem)) {
      refused(variant->name, reason);
      continue;
    }
    const int64_t threads = threads_for(bytes);
    const int64_t units = variant->plan(problem, threads).units;
    text << "  " << variant->name << ": runs, " << units << (units == 1 ? " piece" : " pieces") << " on at most "
         << threads << (threads == 1 ? " thread\n" : " threads\n");
    return;
  }
}

void describe_device(std::ostream& text, at::DeviceType device) {
  if (device != at::kCUDA) {
    text << "CPU capability: " << cpu::name_of(cpu::capability()) << '\n';
    return;
  }
  text << "CUDA architectures of this build:";
  for (const std::string& architecture : cuda::built_architectures()) text << ' ' << architecture;
  text << '\n';
}

const char* name_of(at::MemoryFormat format) {
  return format == at::MemoryFormat::ChannelsLast3d ? "channels_last_3d" : "contiguous";
}

// An address aligned as the tensor's first element: storages begin at multiples of every vector.
const void* stand_in(const at::Tensor& tensor) {
  return reinterpret_cast<const void*>(static_cast<uintptr_t>(tensor.storage_offset() * tensor.element_size()));
}

at::Tensor meta(at::IntArrayRef sizes, at::MemoryFormat format, at::ScalarType type) {
  return at::empty_strided(sizes, dense_strides<int64_t>(sizes, format), at::device(at::kMeta).dtype(type));
}

}  // namespace

std::string explain(const at::Tensor& input, at::DeviceType device, Arguments arguments,
                    std::optional<std::string_view> padding_name, bool requires_grad, bool return_indices) {
  TORCH_CHECK_NOT_IMPLEMENTED(device == at::kCPU || device == at::kCUDA,
                              "explain: expected device 'cpu' or 'cuda', but got '",
                              c10::DeviceTypeName(device, /*lower_case=*/true), "'");
  c10::SmallVector<int64_t, 6> pads;
  if (padding_name) {
    pads = named_padding<int64_t>(*padding_name, arguments, input.sizes(), 3);
    arguments.padding = pads;
  }
  const Pooling pooling = parse_pooling(input.sizes(), arguments);
  scalar_type(input, "max_pool3d");
  const at::MemoryFormat format = output_format(input);
  const at::Tensor output = meta(pooling.output_sizes, format, input.scalar_type());
  const at::Tensor taps = meta(pooling.output_sizes, format, torch_type(pooling.code.type));
  const bool keeps_taps = requires_grad && at::isFloatingType(input.scalar_type());

  std::ostringstream text;
  text << "max_pool3d of " << input.scalar_type() << ' ' << input.sizes() << " with strides " << input.strides()
       << " to " << output.sizes() << ", " << name_of(format) << '\n';
  describe_device(text, device);

  // Results do not exist yet: they will be aligned, and beyond that only whether they are null matters to a refusal.
  alignas(16) int64_t written = 0;
  Forward forward = forward_problem(pooling, input, output, {}, {});
  forward.input = stand_in(input);
  if (keeps_taps) forward.taps = &written;
  if (return_indices && !keeps_taps) forward.indices = &written;
  describe(text, "forward", device, forward, bytes_touched(input, output));
  if (!keeps_taps) {
    text << "kept for backward: nothing\n";
    return text.str();
  }

  if (return_indices) {
    const TapIndices indices{pooling.geometry, pooling.code, nullptr, nullptr, kernel_strides(taps)};
    describe(text, "indices from taps", device, indices, bytes_touched(taps, taps));
  }
  const at::Tensor grad_input = meta(input.sizes(), input_gradient_format(taps), input.scalar_type());
  describe(text, "backward", device, backward_problem(pooling, output, taps, grad_input),
           bytes_touched(output, grad_input));
  text << "kept for backward: " << taps.numel() * taps.element_size() << " bytes of taps (" << taps.scalar_type()
       << "), not the input (" << input.numel() * input.element_size() << " bytes) and int64 indices ("
       << taps.numel() * 8 << " bytes)\n";
  return text.str();
}

}  // namespace voxpool::ops
