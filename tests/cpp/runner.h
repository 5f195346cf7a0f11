#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>

#include "cases.h"
#include "tensors.h"

namespace voxpool::testing {

// One kernel under test, whatever device it is for. `seed` varies what a result must not depend on, such as how the
// work is divided.
template <class Problem>
struct Runner {
  std::string name;
  std::function<const char*(const Problem&)> refusal;
  std::function<void(const Problem&, uint32_t seed)> run;
};

// How often each kernel ran: a list of cases may leave one out without failing.
using Counts = std::map<std::string, int>;

// Tensors in one of the usual orders, and the rest as the seed has it.
inline Meeting meeting_of(const Case& c, Order order, uint32_t seed) {
  const Geometry g = c.geometry();
  return {strides_of(order, c.channels, c.in), strides_of(dense(order), c.channels, {g.d().out, g.h().out, g.w().out}),
          seed % 3 == 1 ? Fill::lowest : Fill::ties, seed};
}

// Windows whose taps can be visited one by one.
inline bool enumerable(const Case& c) { return c.window.axes[0].kernel < 1000; }

}  // namespace voxpool::testing
