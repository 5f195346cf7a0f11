// Kernels compiled for avx512.
namespace voxpool::cpu::avx512 {}
