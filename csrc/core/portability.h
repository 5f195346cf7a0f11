#pragma once

// Functions of core/ are used by the library, by every instruction-set unit of cpu/ and by device code. Inlining them
// unconditionally means that no unit emits a shared copy: the linker can then never pick the copy that was compiled
// for a newer processor than the one the program runs on.
#if defined(__CUDACC__)
#define VOXPOOL_INLINE __host__ __device__ __forceinline__
#else
#define VOXPOOL_INLINE [[gnu::always_inline]] inline
#endif

// The same for a lambda: goes between its parameters and its body.
#define VOXPOOL_LAMBDA_INLINE __attribute__((always_inline))
