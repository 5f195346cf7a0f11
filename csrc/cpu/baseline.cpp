// Kernels compiled for baseline.
namespace voxpool::cpu::baseline {}
