#include "ops/routing.h"

#include <atomic>
#include <cstdint>

namespace voxpool {
namespace {

// One word, so that a pooling reads one: the lowest bit is what enable() and disable() set, the rest counts guards.
// Nothing is published through it, so its order with other memory does not matter.
std::atomic<uint64_t> routing{0};
constexpr uint64_t switched_on = 1, one_guard = 2;

std::atomic<ops::TensorPredicate> plain_predicate{nullptr};

}  // namespace

void enable() {
  ops::override_aten();
  routing.fetch_or(switched_on, std::memory_order_relaxed);
}

void disable() { routing.fetch_and(~switched_on, std::memory_order_relaxed); }

bool is_enabled() { return routing.load(std::memory_order_relaxed) != 0; }

EnabledGuard::EnabledGuard() {
  ops::override_aten();
  routing.fetch_add(one_guard, std::memory_order_relaxed);
}

EnabledGuard::~EnabledGuard() { routing.fetch_sub(one_guard, std::memory_order_relaxed); }

namespace ops {

void set_stands_for_plain(TensorPredicate predicate) { plain_predicate = predicate; }

bool stands_for_plain(const at::Tensor& tensor) {
  const TensorPredicate predicate = plain_predicate;
  return predicate != nullptr && predicate(tensor);
}

}  // namespace ops
}  // namespace voxpool
