#include "ops/allocation.h"

#include <ATen/EmptyTensor.h>

#include "ops/layout.h"

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace voxpool::ops {
namespace {

void advise_huge_pages([[maybe_unused]] const at::TensorBase& tensor) {
#if defined(__linux__) && defined(MADV_HUGEPAGE)
  // 2 MiB is the huge page of x86-64 and of aarch64 with 4 KiB pages; below two of them nothing is gained.
  constexpr uintptr_t huge_page = 2 << 20;
  if (tensor.nbytes() < 2 * huge_page) return;
  const uintptr_t begin = reinterpret_cast<uintptr_t>(tensor.mutable_data_ptr());
  const uintptr_t first = (begin + huge_page - 1) / huge_page * huge_page;
  const uintptr_t last = (begin + tensor.nbytes()) / huge_page * huge_page;
  // Advice: where it is refused the memory is as good as before.
  if (first < last) (void)madvise(reinterpret_cast<void*>(first), last - first, MADV_HUGEPAGE);
#endif
}

}  // namespace

at::Tensor empty_cpu(at::IntArrayRef sizes, at::ScalarType type, at::MemoryFormat format) {
  const bool pinned = false;
  const bool strided = sizes.size() != 5 && format == at::MemoryFormat::ChannelsLast3d;
  at::TensorBase tensor =
      strided ? at::detail::empty_strided_cpu(sizes, dense_strides<int64_t>(sizes, format), type, pinned)
              : at::detail::empty_cpu(sizes, type, pinned, format);
  advise_huge_pages(tensor);
  return at::Tensor(std::move(tensor));
}

}  // namespace voxpool::ops
