#include "cpu/kernel_table.h"

#include "cpu/generic.h"

namespace voxpool::cpu {

const KernelTable& kernel_table(Capability) {
  static const KernelTable table{
      {&generic_forward, 1}, {&generic_backward, 1}, {&generic_gather, 1}, {&generic_tap_indices, 1}};
  return table;
}

}  // namespace voxpool::cpu
