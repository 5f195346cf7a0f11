#include "../cpp/unpool_check.h"

#include "../cpp/cpu_unpool.h"
#include "target.h"

// The kernels of unpooling: any lengths, orders in memory, indices and division among threads.
namespace voxpool::fuzz {
namespace {

using testing::all_namings;
using testing::all_orders;
using testing::GuardedBuffer;
using testing::Order;
using testing::UnpoolCase;
using testing::Unpooling;

// Puts any number in the place of the index of the first element of the last volume. Whether it is a position, or -1.
template <class T>
bool spoil(Decisions& d, Unpooling<T>& u) {
  const Strides& s = u.index_strides;
  const int64_t index = d.flag() ? d.any_number() : u.volume + d.pick(-1, 1);
  u.indices.template as<int64_t>()[(u.lengths.n - 1) * s.n + (u.lengths.c - 1) * s.c] = index;
  return index >= -1 && index < u.volume;
}

template <class T>
void scatter(Decisions& d, Unpooling<T>& u, uint32_t seed) {
  const int64_t threads = d.choose<int64_t>({1, 2, 16});
  const bool spans = d.flag(), spoiled = u.outputs > 0 && d.pick(0, 3) == 3;
  const bool valid = !spoiled || spoil(d, u);
  std::memset(u.output.template as<char>(), 0x77, static_cast<size_t>(u.outputs) * sizeof(T));
  ASSERT_EQ(testing::unpool(u.problem(), threads, seed, spans), !valid);
  ASSERT_TRUE(u.output.canaries_alive());
  if (!spoiled) u.check("unpool");
}

template <class T>
void gather(Decisions& d, Unpooling<T>& u, uint32_t seed) {
  const Unpool p = u.problem();
  for (int64_t i = 0; i < u.outputs; ++i) u.output.template as<T>()[i] = static_cast<T>(i * 7 + 1);
  if (u.outputs > 0 && d.flag()) spoil(d, u);
  const Order order = d.flag() ? Order::channels_last : Order::channels_first;
  const Strides strides = strides_of(order, u.lengths.c, {u.lengths.d, u.lengths.h, u.lengths.w});
  GuardedBuffer gathered(static_cast<size_t>(u.lengths.elements()) * sizeof(T), testing::flush_of(seed, 3));
  const UnpoolGather problem{u.lengths,        u.volume,  p.dtype,         p.output,
                             p.output_strides, p.indices, p.index_strides, gathered.as<void>(),
                             strides};
  testing::run_all(cpu::unpool_gather, problem, d.choose<int64_t>({1, 2, 16}), seed);
  ASSERT_TRUE(gathered.canaries_alive());
  testing::check_gathered(u, u.output.template as<T>(), gathered.as<T>(), strides, "gather");
}

template <class T>
void compare(Decisions& d) {
  UnpoolCase c{d.choose<int64_t>({1, 2, 0, 3}),
               d.choose<int64_t>({1, 2, 3, 7, 9, 17}),
               {d.pick(1, 4), d.pick(1, 6), d.pick(1, 40)},
               0};
  while (c.c > 1 && c.n * c.c * c.in[0] * c.in[1] * c.in[2] > 2000) c.c /= 2;
  c.volume = c.in[0] * c.in[1] * c.in[2] * d.choose<int64_t>({1, 2, 8}) + d.pick(0, 70);
  const Order input_order = d.choose(all_orders), index_order = d.choose(all_orders);
  const bool channels_last = d.flag();
  const auto naming = d.choose(all_namings);
  const uint32_t seed = d.seed();
  const bool forward = d.flag();
  Unpooling<T> u(c, input_order, index_order, channels_last, naming, seed);
  forward ? scatter(d, u, seed) : gather(d, u, seed);
}

}  // namespace

void unpool(Decisions& d) {
  switch (d.pick(0, 3)) {
    case 0:
      return compare<uint8_t>(d);
    case 1:
      return compare<uint16_t>(d);
    case 2:
      return compare<float>(d);
    default:
      return compare<int64_t>(d);
  }
}

}  // namespace voxpool::fuzz
