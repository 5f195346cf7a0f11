#include <ATen/autocast_mode.h>
#include <ATen/core/LegacyTypeDispatch.h>
#include <ATen/ops/max_pool1d_compositeimplicitautograd_dispatch.h>
#include <ATen/ops/max_pool2d_compositeimplicitautograd_dispatch.h>
#include <ATen/ops/max_pool2d_with_indices_cpu_dispatch.h>
#include <ATen/ops/max_pool3d.h>
#include <ATen/ops/max_pool3d_compositeimplicitautograd_dispatch.h>
#include <ATen/ops/max_pool3d_with_indices_cpu_dispatch.h>
#include <c10/core/impl/TorchDispatchModeTLS.h>
#include <torch/library.h>
#include <voxpool/ops.h>

#include <list>

#include "ops/checks.h"
#include "ops/cuda_kernels.h"
#include "ops/dispatch.h"
#include "ops/routing.h"

// Kernels in the place of torch's own. Each asks whether this call is to be voxpool's, and otherwise calls the one it
// replaced; that one is named here, as a kernel that is looked up can only be called boxed, which takes longer than
// pooling a small tensor.
//
// torch's max_pool1d, 2d and 3d are composites of max_pool2d_with_indices and max_pool3d_with_indices, whose
// derivatives keep the input and int64 indices. The composite itself is replaced, under the key that stands for all
// devices. Kernels under the keys of a device would do for calls, but torch asks for such keys when it traces
// (run_decompositions() of an exported program, make_fx in inference mode), and from then on would no longer take the
// operator apart, whatever is_enabled() says. The operators with indices are replaced below their derivative: indices
// are what their callers want. max_pool1d_with_indices is a composite of these and follows.
namespace voxpool::ops {
namespace {

using at::DispatchKey;
using at::IntArrayRef;
using at::Tensor;
using TensorPair = std::tuple<Tensor, Tensor>;
namespace composite = at::compositeimplicitautograd;

// Torch's kernels that belong to a device, where they are replaced. Those for CUDA are not: they are in a library of
// torch's that a program may do without.
struct Cpu {
  static constexpr DispatchKey key = DispatchKey::CPU;
  static constexpr auto max_pool2d_with_indices = &at::cpu::max_pool2d_with_indices;
  static constexpr auto max_pool3d_with_indices = &at::cpu::max_pool3d_with_indices;
};

bool has_kernels(at::DeviceType type) { return type == at::kCPU || (type == at::kCUDA && has_cuda_kernels()); }

// A mode or a subclass that watches torch's operators has to see those it knows. What they do with them ends here
// again, with plain tensors and below the mode.
bool is_watched(const Tensor& input) {
  if (input.key_set().has(DispatchKey::Python) && !stands_for_plain(input)) return true;
  return c10::impl::TorchDispatchModeTLS::any_modes_set(/*skip_infra_modes=*/true);
}

// Newer versions of torch than 2.11 have no named tensors. A template, as only there an expression may be without
// meaning.
template <class T>
bool has_names(const T& tensor) {
  if constexpr (requires { tensor.has_names(); }) {
    return tensor.has_names();
  } else {
    return false;
  }
}

// Layouts other than strided are sparse and MKL-DNN; quantised tensors have dtypes of their own. A pair of pads per
// axis is voxpool's, not torch's, and has to stay an error.
bool is_routed(const Tensor& input, IntArrayRef padding, int axes) {
  return is_enabled() && input.defined() && !is_watched(input) && has_kernels(input.device().type()) &&
         input.layout() == at::kStrided && !input.is_nested() && has_kernel(input.scalar_type()) &&
         padding.size() <= static_cast<size_t>(axes) && !has_names(input);
}

template <Pool<Tensor>* ours, Pool<Tensor>* torchs, int axes>
Tensor max_pool(const Tensor& input, IntArrayRef kernel_size, IntArrayRef stride, IntArrayRef padding,
                IntArrayRef dilation, bool ceil_mode) {
  const auto pool = is_routed(input, padding, axes) ? ours : torchs;
  return pool(input, kernel_size, stride, padding, dilation, ceil_mode);
}

template <Pool<TensorPair>* ours, Pool<TensorPair>* torchs, int axes>
TensorPair max_pool_with_indices(const Tensor& input, IntArrayRef kernel_size, IntArrayRef stride, IntArrayRef padding,
                                 IntArrayRef dilation, bool ceil_mode) {
  if (!is_routed(input, padding, axes)) return torchs(input, kernel_size, stride, padding, dilation, ceil_mode);
  // Whoever came here has dealt with autograd.
  const at::AutoDispatchBelowADInplaceOrView below;
  return ours(input, kernel_size, stride, padding, dilation, ceil_mode);
}

// CPU autocast runs torch's max_pool3d, alone of these operators, in float32. A maximum is exact in any dtype.
Tensor max_pool3d_autocast(const Tensor& input, IntArrayRef kernel_size, IntArrayRef stride, IntArrayRef padding,
                           IntArrayRef dilation, bool ceil_mode) {
  if (is_routed(input, padding, 3)) {
    const c10::impl::ExcludeDispatchKeyGuard no_autocast(DispatchKey::AutocastCPU);
    return at::max_pool3d(input, kernel_size, stride, padding, dilation, ceil_mode);
  }
  using InFloat32 = at::autocast::WrapFunction<at::autocast::CastPolicy::fp32, at::kCPU, Pool<Tensor>, Pool<Tensor>,
                                               &at::_ops::max_pool3d::call>;
  return InFloat32::type::call(input, kernel_size, stride, padding, dilation, ceil_mode);
}

// torch warns that there were kernels under these keys.
class NoWarnings final : public c10::WarningHandler {
 public:
  void process(const c10::Warning& /*warning*/) override {}
};

class Registration {
 public:
  Registration() {
    NoWarnings none;
    const c10::WarningUtils::WarningHandlerGuard quiet(&none);
    torch::Library& m = library(DispatchKey::CompositeImplicitAutograd);
    m.impl("max_pool1d", max_pool<voxpool::max_pool1d, composite::max_pool1d, 1>);
    m.impl("max_pool2d", max_pool<voxpool::max_pool2d, composite::max_pool2d, 2>);
    m.impl("max_pool3d", max_pool<voxpool::max_pool3d, composite::max_pool3d, 3>);
    library(DispatchKey::AutocastCPU).impl("max_pool3d", max_pool3d_autocast);
    add_with_indices<Cpu>();
  }

 private:
  template <class Device>
  void add_with_indices() {
    torch::Library& m = library(Device::key);
    m.impl("max_pool2d_with_indices",
           max_pool_with_indices<voxpool::max_pool2d_with_indices, Device::max_pool2d_with_indices, 2>);
    m.impl("max_pool3d_with_indices",
           max_pool_with_indices<voxpool::max_pool3d_with_indices, Device::max_pool3d_with_indices, 3>);
  }

  torch::Library& library(DispatchKey key) {
    return libraries_.emplace_back(torch::Library::IMPL, "aten", key, __FILE__, __LINE__);
  }

  std::list<torch::Library> libraries_;  // an entry of the dispatcher lasts as long as its library
};

}  // namespace

void override_aten() { static const Registration once; }

}  // namespace voxpool::ops
