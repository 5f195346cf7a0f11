#pragma once

namespace voxpool::cuda {

// Where kernels run: a stream of the current device, and what a launch plan needs to know about the device.
struct Queue {
  void* stream = nullptr;  // cudaStream_t
  int multiprocessors = 1;
};

}  // namespace voxpool::cuda
