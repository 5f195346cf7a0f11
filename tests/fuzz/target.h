#pragma once

#include "decisions.h"

// What is fuzzed: each function makes one case of the decisions and compares voxpool with brute force by the macros of
// GoogleTest. Decisions that describe no case are left without one.
namespace voxpool::fuzz {

void pool(Decisions& decisions);
void unpool(Decisions& decisions);
void check_arguments(Decisions& decisions);

}  // namespace voxpool::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);
