// Kernels compiled for avx2.
namespace voxpool::cpu::avx2 {}
