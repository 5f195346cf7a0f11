#include "bindings/subclass.h"

#include <torch/extension.h>

#include <utility>

#include "ops/routing.h"

namespace voxpool::bindings {
namespace {

namespace py = pybind11;

PyObject* python_predicate = nullptr;  // read and written with the GIL

bool call_predicate(const at::Tensor& tensor) {
  const py::gil_scoped_acquire gil;
  return py::handle(python_predicate)(tensor).cast<bool>();
}

}  // namespace

void set_stands_for_plain(const py::function& predicate) {
  // Never released at exit, when Python may be gone before the last pooling.
  Py_XDECREF(std::exchange(python_predicate, py::function(predicate).release().ptr()));
  ops::set_stands_for_plain(call_predicate);
}

}  // namespace voxpool::bindings
