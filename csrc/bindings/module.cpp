#include <ATen/EmptyTensor.h>
#include <pybind11/stl.h>
#include <torch/extension.h>
#include <voxpool/info.h>
#include <voxpool/routing.h>

#include <array>
#include <optional>
#include <string_view>
#include <variant>

#include "bindings/bind_pool.h"
#include "bindings/subclass.h"
#include "ops/axes.h"
#include "ops/explain.h"

// voxpool._C: what the dispatcher cannot offer. torch.ops.voxpool parses every argument at every call, which takes
// longer than pooling a small tensor; bind_pool converts them once.
namespace voxpool::bindings {
namespace {

namespace py = pybind11;
using IntList = std::vector<int64_t>;

// The padding's name; numbers go into the arguments.
std::optional<std::string_view> take_padding(const Padding& padding, ops::Arguments& arguments) {
  if (const auto* name = std::get_if<std::string>(&padding)) return *name;
  arguments.padding = std::get<IntList>(padding);
  return {};
}

std::vector<std::array<int64_t, 6>> axes(const IntList& input_size, const IntList& kernel_size, const IntList& stride,
                                         const Padding& padding, const IntList& dilation, bool ceil_mode) {
  ops::Arguments arguments{kernel_size, stride, {}, dilation, ceil_mode};
  const auto name = take_padding(padding, arguments);
  std::vector<std::array<int64_t, 6>> numbers;
  for (const Axis& a : ops::axes(input_size, arguments, name)) {
    numbers.push_back({a.in, a.out, a.kernel, a.stride, a.pad_begin, a.dilation});
  }
  return numbers;
}

at::ScalarType parse_dtype(std::string name) {
  if (name.starts_with("torch.")) name.erase(0, 6);
  const auto& names = c10::getStringToDtypeMap();
  const auto found = names.find(name);
  TORCH_CHECK(found != names.end(), "explain: expected the name of a dtype such as 'float32', but got '", name, "'");
  return found->second;
}

std::string explain(const IntList& sizes, const IntList& strides, int64_t storage_offset, const std::string& dtype,
                    const std::string& device, const IntList& kernel_size, const IntList& stride,
                    const Padding& padding, const IntList& dilation, bool ceil_mode, bool requires_grad,
                    bool return_indices) {
  const auto elements = static_cast<int64_t>(at::detail::computeStorageNbytes(sizes, strides, 1, storage_offset));
  const at::Tensor storage = at::empty({elements}, at::device(at::kMeta).dtype(parse_dtype(dtype)));
  const at::Tensor input = storage.as_strided(sizes, strides, storage_offset);
  const at::DeviceType type = at::Device(device).type();
  ops::Arguments arguments{kernel_size, stride, {}, dilation, ceil_mode};
  const auto name = take_padding(padding, arguments);
  return ops::explain(input, type, arguments, name, requires_grad, return_indices);
}

py::dict build_info_dict() {
  const BuildInfo info = build_info();
  py::dict result;
  result["version"] = info.version;
  result["torch"] = info.torch;
  result["compiler"] = info.compiler;
  result["build_type"] = info.build_type;
  result["cpu_capabilities"] = info.cpu_capabilities;
  result["cuda_architectures"] = info.cuda_architectures;
  return result;
}

}  // namespace

PYBIND11_MODULE(TORCH_EXTENSION_NAME, m) {
  using py::arg;

  m.def(
      "bind_pool",
      [](const std::string& op, bool returns_pair, IntList kernel_size, IntList stride, Padding padding,
         IntList dilation, bool ceil_mode) {
        const auto bind = [&](auto result) {
          using Result = typename decltype(result)::type;
          return bind_pool(Pool<Result>("voxpool::" + op, std::move(kernel_size), std::move(stride), std::move(padding),
                                        std::move(dilation), ceil_mode));
        };
        return returns_pair ? bind(std::type_identity<TensorPair>()) : bind(std::type_identity<at::Tensor>());
      },
      arg("op"), arg("returns_pair"), arg("kernel_size"), arg("stride"), arg("padding"), arg("dilation"),
      arg("ceil_mode"));
  m.def("explain", &explain, arg("sizes"), arg("strides"), arg("storage_offset"), arg("dtype"), arg("device"),
        arg("kernel_size"), arg("stride"), arg("padding"), arg("dilation"), arg("ceil_mode"), arg("requires_grad"),
        arg("return_indices"));
  m.def("axes", &axes, arg("input_size"), arg("kernel_size"), arg("stride"), arg("padding"), arg("dilation"),
        arg("ceil_mode"));
  m.def("build_info", &build_info_dict);
  m.def("cpu_capability", &cpu_capability);
  m.def("available_cpu_capabilities", &available_cpu_capabilities);
  m.def("set_cpu_capability", &set_cpu_capability, arg("name"));
  m.def("enable", &enable);
  m.def("disable", &disable);
  m.def("is_enabled", &is_enabled);
  py::class_<EnabledGuard>(m, "EnabledGuard").def(py::init());
  m.def("set_stands_for_plain", &set_stands_for_plain, arg("predicate"));
}

}  // namespace voxpool::bindings
