#include <algorithm>
#include <limits>
#include <optional>
#include <span>
#include <utility>

#include "../cpp/backward_check.h"
#include "../cpp/cpu_runners.h"
#include "../cpp/forward_check.h"
#include "target.h"

// The kernels of pooling, forward and backward, and the gathers: any geometry whose brute force takes no time, with
// tensors that lie anywhere in memory.
namespace voxpool::fuzz {
namespace {

using testing::Case;
using testing::Fill;
using testing::Meeting;
using testing::Step;
using testing::Tiles;
using testing::Wanted;

constexpr int64_t int_max = std::numeric_limits<int32_t>::max();
using Sizes = std::array<int64_t, 3>;

WindowAxis any_axis(Decisions& d) {
  WindowAxis a;
  a.kernel = d.choose<int64_t>({2, 3, 1, 4, 5, 2, 3, 7, 11, 255, 256, 1291, int64_t{1} << 30, int_max});
  a.stride = d.choose<int64_t>({1, 2, 3, 4, 5, 1, 2, 8, 20, 1 << 30, int_max});
  a.dilation = d.choose<int64_t>({1, 1, 2, 3, 1, 5, 9, 1 << 30, int_max});
  const int64_t reach = a.dilation * (a.kernel - 1);
  for (int64_t* pad : {&a.pad_begin, &a.pad_end}) {
    *pad = std::min(reach, d.choose<int64_t>({0, 1, a.kernel / 2, 2, 3, reach / 2, reach, 17}));
  }
  return a;
}

// Taps that brute force visits, and elements; as a double, which holds any product.
double work(const Case& c, const Geometry& g) {
  double taps = 1, inputs = 1, outputs = 1;
  for (const Axis& axis : g.axes) {
    taps *= static_cast<double>(std::min(axis.kernel, axis.in));
    inputs *= static_cast<double>(axis.in);
    outputs *= static_cast<double>(axis.out);
  }
  return static_cast<double>(std::max<int64_t>(c.batch, 1) * c.channels) * (inputs + outputs * (3 + taps));
}

// Nothing where no window fits, or where even one channel of a short row is too much to visit.
std::optional<Case> any_case(Decisions& d) {
  constexpr double most_work = 20000;
  Case c;
  c.batch = d.choose<int64_t>({1, 2, 1, 0, 3});
  c.channels = d.choose<int64_t>({1, 2, 3, 4, 7, 8, 16, 17, 33, 64, 70});
  c.in = {d.pick(1, 9), d.pick(1, 11), d.pick(1, 140)};
  c.window.ceil_mode = d.flag();
  c.window.padding_rule = PaddingRule::pairs;
  for (WindowAxis& a : c.window.axes) a = any_axis(d);
  if (d.flag()) c.window.axes[1] = c.window.axes[2];
  if (d.flag()) c.window.axes[0] = {};
  try {
    while (work(c, c.geometry()) > most_work) {
      int64_t& longest = c.channels > 1 ? c.channels : *std::max_element(c.in.begin(), c.in.end());
      if (longest == 1) return std::nullopt;
      longest /= 2;
    }
  } catch (const GeometryError&) {
    return std::nullopt;
  }
  return c;
}

// Strides of a tensor whose axes lie in any order; `gaps` are what is left out between neighbours, in elements.
Strides permuted(Decisions& d, int64_t channels, const Sizes& size, bool gaps) {
  const std::array<int64_t, 4> lengths{channels, size[0], size[1], size[2]};
  std::array<int64_t, 4> order{0, 1, 2, 3}, strides;
  for (int64_t i = 3; i > 0; --i) std::swap(order[i], order[d.pick(0, i)]);
  int64_t next = gaps ? d.pick(1, 2) : 1;
  for (const int64_t axis : order) {
    strides[axis] = next;
    next = next * lengths[axis] + (gaps ? d.pick(0, 3) : 0);
  }
  return {next, strides[0], strides[1], strides[2], strides[3]};
}

Strides any_strides(Decisions& d, int64_t channels, const Sizes& size) {
  const int64_t kind = d.pick(0, 8);
  if (kind < 6) return strides_of(testing::all_orders[kind], channels, size);
  Strides strides = permuted(d, channels, size, /*gaps=*/true);
  if (kind == 7) *d.choose<int64_t*>({&strides.c, &strides.d, &strides.h, &strides.w, &strides.n}) = 0;  // expanded
  return strides;
}

// Whether results for such an input are channels-last: torch's rule, under which any layout is that of one channel.
bool is_channels_last(Decisions& d, const Strides& s, int64_t channels) {
  if (channels == 1) return d.flag();
  return s.c > 0 && s.w >= s.c * channels && s.h >= s.w && s.d >= s.h && s.n >= s.d;
}

Strides dense(bool channels_last, int64_t channels, const Sizes& size) {
  return strides_of(channels_last ? testing::Order::channels_last : testing::Order::channels_first, channels, size);
}

// Codes that no forward wrote: gradients go where a code is a tap of its window inside the input, and nowhere else.
template <class T>
void scramble_taps(Step<T>& step) {
  const Geometry& g = step.g;
  const Strides& out = step.meeting.output;
  std::mt19937 random(step.meeting.seed);
  std::fill(step.expected.begin(), step.expected.end(), Sum<T>{});
  testing::for_each_output(g, [&](int64_t n, int64_t c, int64_t od, int64_t oh, int64_t ow) {
    const int64_t o = n * out.n + c * out.c + od * out.d + oh * out.h + ow * out.w;
    const int64_t code = random() % 8 == 0 ? random() : random() % 300;
    testing::put_tap(step.taps, step.code.type, o, code);
    const int64_t stored = testing::tap_at(step.taps, step.code.type, o);
    int64_t found = -1;
    testing::for_each_tap(g.d(), od, [&](int64_t td, int64_t id) {
      testing::for_each_tap(g.h(), oh, [&](int64_t th, int64_t ih) {
        testing::for_each_tap(g.w(), ow, [&](int64_t tw, int64_t iw) {
          const int64_t position = (id * g.h().in + ih) * g.w().in + iw;
          const bool named = step.code.type == TapType::i64 ? stored == position
                                                            : stored == (td * g.h().kernel + th) * g.w().kernel + tw;
          if (named) found = position;
        });
      });
    });
    if (found < 0) return;
    const Sum<T> gradient = static_cast<Sum<T>>(testing::number(step.gradient.template as<T>()[o]));
    step.expected[(n * g.channels + c) * g.input_volume() + found] += gradient;
  });
}

}  // namespace

void pool(Decisions& d) {
  static constexpr ScalarType types[] = {ScalarType::f32, ScalarType::f16, ScalarType::bf16,
                                         ScalarType::f64, ScalarType::u8,  ScalarType::i8,
                                         ScalarType::i16, ScalarType::i32, ScalarType::i64};
  static constexpr Wanted all_wanted[] = {{false, false, false}, {true, false, false}, {false, true, false},
                                          {true, true, false},   {false, false, true}, {true, false, true}};
  enum class Direction { forward, backward, foreign_taps, gathers };
  const Direction direction =
      d.choose({Direction::forward, Direction::backward, Direction::forward, Direction::foreign_taps,
                Direction::gathers, Direction::forward, Direction::backward});
  const ScalarType dtype = direction == Direction::forward ? d.choose(types) : types[d.pick(0, 3)];
  const auto& capabilities = cpu::available_capabilities();
  const cpu::Capability capability = capabilities[capabilities.size() - 1 - d.pick(0, 5) % capabilities.size()];
  const Tiles tiles = d.flag() ? Tiles::smallest : Tiles::own;
  const Wanted wanted = d.choose(all_wanted);
  const bool odd = d.flag();
  const Fill fill = d.choose({Fill::ties, Fill::distinct, Fill::bits, Fill::lowest});
  const uint32_t seed = 2 * d.seed() + (odd ? 1 : 0);

  const std::optional<Case> c = any_case(d);
  if (!c) return;
  const Geometry g = c->geometry();
  const Sizes out{g.d().out, g.h().out, g.w().out};
  const Strides input = any_strides(d, c->channels, c->in);
  const Strides results = dense(is_channels_last(d, input, c->channels), c->channels, out);
  const Meeting meeting{input, results, fill, seed};
  int runs = 0;
  if (direction == Direction::forward) {
    return dispatch(dtype, [&]<class T>(T) {
      testing::compare_forward<T>(*c, dtype, meeting, std::span(&wanted, 1),
                                  testing::cpu_runners<Forward>(capability, tiles), &runs);
    });
  }
  dispatch_floating(dtype, [&]<class T>(T) {
    if (direction == Direction::gathers) {
      return testing::compare_gathers<T>(Step<T>(*c, meeting), c->name(), dtype, testing::cpu_runner<Gather>(),
                                         testing::cpu_runner<TapIndices>());
    }
    // Taps lie as a forward has left them, or as somebody has put them.
    Meeting backward = meeting;
    if (d.pick(0, 3) == 3) backward.output = permuted(d, c->channels, out, /*gaps=*/false);
    Step<T> step(*c, backward);
    if (direction == Direction::foreign_taps) scramble_taps(step);
    const Strides grad_input = dense(is_channels_last(d, backward.output, c->channels), c->channels, c->in);
    testing::compare_backward(step, c->name(), dtype, grad_input, testing::cpu_runners<Backward>(capability, tiles),
                              &runs);
  });
}

}  // namespace voxpool::fuzz
