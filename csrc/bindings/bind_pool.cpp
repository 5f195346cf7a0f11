#include "bindings/bind_pool.h"

#include <torch/extension.h>

#include <string>
#include <utility>

namespace voxpool::bindings {
namespace {

namespace py = pybind11;

constexpr const char* capsule_name = "voxpool.Pool";

PyObject* to_python(const at::Tensor& tensor) { return THPVariable_Wrap(tensor); }

PyObject* to_python(const std::tuple<at::Tensor, at::Tensor>& pair) {
  const auto wrap = [](const at::Tensor& tensor) {
    return py::reinterpret_steal<py::object>(THPVariable_Wrap(tensor));
  };
  return py::make_tuple(wrap(std::get<0>(pair)), wrap(std::get<1>(pair))).release().ptr();
}

template <auto method>
PyObject* call(PyObject* capsule, PyObject* input) {
  HANDLE_TH_ERRORS
  if (!THPVariable_Check(input)) {
    throw py::type_error(std::string("input: expected a Tensor, but got ") + Py_TYPE(input)->tp_name);
  }
  const auto* pool = static_cast<const Pool*>(PyCapsule_GetPointer(capsule, capsule_name));
  const auto result = [&] {
    const py::gil_scoped_release no_gil;
    return (pool->*method)(THPVariable_Unpack(input));
  }();
  return to_python(result);
  END_HANDLE_TH_ERRORS
}

PyMethodDef values_definition{"max_pool", call<&Pool::values>, METH_O, nullptr};
PyMethodDef indices_definition{"max_pool_with_indices", call<&Pool::with_indices>, METH_O, nullptr};

}  // namespace

py::object bind_pool(Pool pool, bool return_indices) {
  const py::capsule capsule(new Pool(std::move(pool)), capsule_name, [](PyObject* owner) {
    delete static_cast<Pool*>(PyCapsule_GetPointer(owner, capsule_name));
  });
  PyMethodDef& definition = return_indices ? indices_definition : values_definition;
  return py::reinterpret_steal<py::object>(PyCFunction_New(&definition, capsule.ptr()));
}

}  // namespace voxpool::bindings
