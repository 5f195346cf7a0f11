#include <gtest/gtest.h>
#include <sys/mman.h>

#include <cstring>
#include <stdexcept>

#include "cpu/kernel_table.h"
#include "forward_check.h"

// Every kernel twice on the same numbers: in dense tensors, where other tests compare it with brute force, and in
// tensors whose rows, planes, channels and samples lie so far apart that offsets do not fit 32 bits. What lies between
// them is address space without memory.
namespace voxpool::testing {
namespace {

class AddressSpace {
 public:
  explicit AddressSpace(size_t bytes)
      : bytes_(bytes),
        begin_(mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)) {
    if (begin_ == MAP_FAILED) throw std::runtime_error("mmap failed");
  }
  ~AddressSpace() { munmap(begin_, bytes_); }
  AddressSpace(const AddressSpace&) = delete;
  AddressSpace& operator=(const AddressSpace&) = delete;

  void* begin() const { return begin_; }

 private:
  size_t bytes_;
  void* begin_;
};

// What lies far apart: rows, planes, channels and samples; the same with channels innermost; or whole channels, each of
// which is one run of memory.
enum class Spread { rows, channels_last, channels };
constexpr Spread all_spreads[] = {Spread::rows, Spread::channels_last, Spread::channels};

constexpr int64_t row_step = (int64_t{1} << 27) + 64, plane_step = (int64_t{1} << 31) + 4096,
                  channel_step = int64_t{1} << 34;
constexpr int64_t most_rows = 15, most_planes = 7;
static_assert(most_rows * row_step < plane_step && most_planes * plane_step < channel_step);

Strides far_apart(Spread spread, int64_t channels, const std::array<int64_t, 3>& size) {
  switch (spread) {
    case Spread::rows:
      return {channels * channel_step, channel_step, plane_step, row_step, 1};
    case Spread::channels_last:
      return {channel_step, 1, plane_step, row_step, channels};
    case Spread::channels:
      return {channels * channel_step, channel_step, size[1] * size[2], size[2], 1};
  }
  return {};
}

struct Shape {
  int64_t batch, channels;
  std::array<int64_t, 3> size;

  template <class F>
  void for_each(F&& f) const {
    for (int64_t n = 0; n < batch; ++n)
      for (int64_t c = 0; c < channels; ++c)
        for (int64_t d = 0; d < size[0]; ++d)
          for (int64_t h = 0; h < size[1]; ++h)
            for (int64_t w = 0; w < size[2]; ++w) f(n, c, d, h, w);
  }
};

// A tensor of elements of any kind, dense or spread.
struct Tensor {
  Tensor(const Shape& shape, const Strides& strides, size_t element)
      : shape(shape),
        strides(strides),
        element(element),
        memory(extent(shape.batch, shape.channels, shape.size, strides) * element) {}

  template <class T>
  T* as() const {
    return static_cast<T*>(memory.begin());
  }
  char* at(int64_t n, int64_t c, int64_t d, int64_t h, int64_t w) const {
    const int64_t offset = n * strides.n + c * strides.c + d * strides.d + h * strides.h + w * strides.w;
    return as<char>() + offset * static_cast<int64_t>(element);
  }
  void copy_from(const Tensor& other) const {
    shape.for_each([&](auto... i) { std::memcpy(at(i...), other.at(i...), element); });
  }

  Shape shape;
  Strides strides;
  size_t element;
  AddressSpace memory;
};

void expect_same_bytes(const Tensor& far, const Tensor& dense, const std::string& what) {
  bool equal = true;
  far.shape.for_each([&](auto... i) { equal = equal && std::memcmp(far.at(i...), dense.at(i...), far.element) == 0; });
  EXPECT_TRUE(equal) << what;
}

template <class T>
void expect_same_values(const Tensor& far, const Tensor& dense, const std::string& what) {
  bool equal = true;
  far.shape.for_each([&](auto... i) {
    T a, b;
    std::memcpy(&a, far.at(i...), sizeof a);
    std::memcpy(&b, dense.at(i...), sizeof b);
    equal = equal && same_value(a, b, false);
  });
  EXPECT_TRUE(equal) << what;
}

// The tensors of a pooling and of its gradient.
struct Tensors {
  Tensors(const Geometry& g, size_t element, const Strides& in, const Strides& out)
      : inputs{g.batch, g.channels, {g.d().in, g.h().in, g.w().in}},
        outputs{g.batch, g.channels, {g.d().out, g.h().out, g.w().out}},
        input(inputs, in, element),
        output(outputs, out, element),
        taps(outputs, out, size_of(tap_code(g).type)),
        indices(outputs, out, sizeof(int64_t)),
        grad_output(outputs, out, element),
        grad_input(inputs, in, element) {}

  Forward forward(const Geometry& g, ScalarType dtype, Wanted wanted, bool stream) const {
    return {g,
            dtype,
            tap_code(g),
            input.as<void>(),
            input.strides,
            output.as<void>(),
            wanted.taps ? taps.as<void>() : nullptr,
            wanted.indices ? indices.as<int64_t>() : nullptr,
            output.strides,
            wanted.relu,
            stream};
  }
  Backward backward(const Geometry& g, ScalarType dtype, bool stream) const {
    return {g,
            dtype,
            tap_code(g),
            grad_output.as<void>(),
            taps.as<void>(),
            output.strides,
            grad_input.as<void>(),
            input.strides,
            stream};
  }
  Gather gather(const Geometry& g, ScalarType dtype) const {
    return {g, dtype, tap_code(g), input.as<void>(), input.strides, taps.as<void>(), output.as<void>(), output.strides};
  }
  TapIndices tap_indices(const Geometry& g) const {
    return {g, tap_code(g), taps.as<void>(), indices.as<int64_t>(), output.strides};
  }

  Shape inputs, outputs;
  Tensor input, output, taps, indices, grad_output, grad_input;
};

template <class Problem>
void run(const Variant<Problem>& variant, const Problem& problem) {
  const Plan plan = variant.plan(problem, 3);
  for (int64_t end = plan.units; end > 0; end -= 2) variant.run(problem, plan, std::max<int64_t>(end - 2, 0), end);
}

template <class T>
class Comparison {
 public:
  Comparison(const Case& c, ScalarType dtype, Spread spread)
      : g_(c.geometry()),
        dtype_(dtype),
        dense_(g_, sizeof(T), strides(spread, c.in, false), strides(spread, out(), false)),
        far_(g_, sizeof(T), strides(spread, c.in, true), strides(spread, out(), true)),
        name_(c.name()) {
    std::mt19937 random(static_cast<uint32_t>(dtype) + 1);
    const auto fill = [&](const Tensor& tensor) {
      tensor.shape.for_each([&](auto... i) {
        const T x = random_element<T>(random);
        std::memcpy(tensor.at(i...), &x, sizeof x);
      });
    };
    fill(dense_.input);
    far_.input.copy_from(dense_.input);
    fill(dense_.grad_output);
    far_.grad_output.copy_from(dense_.grad_output);
  }

  // Returns how many times a kernel ran.
  int forward(cpu::VariantList<Forward> variants) const {
    int runs = 0;
    for (const Variant<Forward>* variant : variants) {
      for (const Wanted wanted : {Wanted{false, false, false}, Wanted{true, false, true}, Wanted{true, true, false}}) {
        const Forward dense = dense_.forward(g_, dtype_, wanted, false);
        const Forward far = far_.forward(g_, dtype_, wanted, runs % 2 == 0);
        if (variant->refusal(dense) != nullptr || variant->refusal(far) != nullptr) continue;
        ++runs;
        run(*variant, dense);
        run(*variant, far);
        expect_same_values<T>(far_.output, dense_.output, variant->name + (" values of " + name_));
        if (wanted.taps) expect_same_bytes(far_.taps, dense_.taps, variant->name + (" taps of " + name_));
        if (wanted.indices) expect_same_bytes(far_.indices, dense_.indices, variant->name + (" indices of " + name_));
      }
    }
    return runs;
  }

  // After a forward, for its taps.
  void backward(cpu::VariantList<Backward> variants) const {
    for (const Variant<Backward>* variant : variants) {
      const Backward dense = dense_.backward(g_, dtype_, false), far = far_.backward(g_, dtype_, true);
      if (variant->refusal(dense) != nullptr || variant->refusal(far) != nullptr) continue;
      run(*variant, dense);
      run(*variant, far);
      expect_same_values<T>(far_.grad_input, dense_.grad_input, variant->name + (" gradient of " + name_));
    }
  }

  void gathers(const cpu::KernelTable& table) const {
    run(*table.gather.back(), dense_.gather(g_, dtype_));
    run(*table.gather.back(), far_.gather(g_, dtype_));
    expect_same_values<T>(far_.output, dense_.output, "gather of " + name_);
    run(*table.tap_indices.back(), dense_.tap_indices(g_));
    run(*table.tap_indices.back(), far_.tap_indices(g_));
    expect_same_bytes(far_.indices, dense_.indices, "indices of " + name_);
  }

 private:
  std::array<int64_t, 3> out() const { return {g_.d().out, g_.h().out, g_.w().out}; }
  Strides strides(Spread spread, const std::array<int64_t, 3>& size, bool far) const {
    const Order order = spread == Spread::channels_last ? Order::channels_last : Order::channels_first;
    return far ? far_apart(spread, g_.channels, size) : strides_of(order, g_.channels, size);
  }

  Geometry g_;
  ScalarType dtype_;
  Tensors dense_, far_;
  std::string name_;
};

std::vector<Case> cases() {
  const auto window = [](WindowAxis a) { return Window{{a, a, a}, false, PaddingRule::pairs, 3}; };
  const Window k2 = window({2, 2, 0, 0, 1}), k3s2 = window({3, 2, 1, 1, 1}), k3s1 = window({3, 1, 1, 1, 1});
  return {
      {2, 2, {4, 6, 34}, k2},
      {1, 2, {5, 9, 67}, k3s2},
      {1, 3, {4, 5, 32}, k3s1},
      {2, 18, {3, 5, 6}, k3s2},
      {1, 2, {7, 10, 31}, window({3, 2, 1, 1, 3})},
      {1, 2, {7, 9, 40}, window({2, 5, 1, 0, 2})},  // scalar columns
      {1, 2, {7, 7, 9}, window({7, 1, 3, 3, 1})},   // more than 255 taps
  };
}

TEST(LargeStrides, OffsetsBeyond32BitsGiveTheSameResults) {
  int runs = 0;
  for (const Case& c : cases()) {
    for (const Spread spread : all_spreads) {
      for (const ScalarType dtype :
           {ScalarType::i8, ScalarType::i16, ScalarType::bf16, ScalarType::f32, ScalarType::i64, ScalarType::f64}) {
        dispatch(dtype, [&]<class T>(T) {
          const Comparison<T> comparison(c, dtype, spread);
          for (const cpu::Capability capability : cpu::available_capabilities()) {
            const cpu::KernelTable& table = cpu::kernel_table(capability);
            runs += comparison.forward(table.forward);
            if constexpr (!std::is_integral_v<T>) comparison.backward(table.backward);
            comparison.gathers(table);
          }
        });
      }
    }
  }
  EXPECT_GT(runs, 400 * static_cast<int>(cpu::available_capabilities().size()));
}

}  // namespace
}  // namespace voxpool::testing
