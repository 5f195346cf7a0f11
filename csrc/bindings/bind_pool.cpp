#include "bindings/bind_pool.h"

#include <torch/extension.h>

#include <string>
#include <utility>

namespace voxpool::bindings {
namespace {

namespace py = pybind11;

constexpr const char* capsule_name = "voxpool.Pool";

PyObject* to_python(const at::Tensor& tensor) { return THPVariable_Wrap(tensor); }

PyObject* to_python(const TensorPair& pair) {
  const auto wrap = [](const at::Tensor& tensor) {
    return py::reinterpret_steal<py::object>(THPVariable_Wrap(tensor));
  };
  return py::make_tuple(wrap(std::get<0>(pair)), wrap(std::get<1>(pair))).release().ptr();
}

template <class Result>
PyObject* call(PyObject* capsule, PyObject* input) {
  HANDLE_TH_ERRORS
  if (!THPVariable_Check(input)) {
    throw py::type_error(std::string("input: expected a Tensor, but got ") + Py_TYPE(input)->tp_name);
  }
  const auto* pool = static_cast<const Pool<Result>*>(PyCapsule_GetPointer(capsule, capsule_name));
  const auto result = [&] {
    const py::gil_scoped_release no_gil;
    return (*pool)(THPVariable_Unpack(input));
  }();
  return to_python(result);
  END_HANDLE_TH_ERRORS
}

template <class Result>
py::object bind(Pool<Result> pool) {
  static PyMethodDef definition{"max_pool", call<Result>, METH_O, nullptr};
  const py::capsule capsule(new Pool<Result>(std::move(pool)), capsule_name, [](PyObject* owner) {
    delete static_cast<Pool<Result>*>(PyCapsule_GetPointer(owner, capsule_name));
  });
  return py::reinterpret_steal<py::object>(PyCFunction_New(&definition, capsule.ptr()));
}

}  // namespace

py::object bind_pool(Pool<at::Tensor> pool) { return bind(std::move(pool)); }
py::object bind_pool(Pool<TensorPair> pool) { return bind(std::move(pool)); }

}  // namespace voxpool::bindings
