#include <gtest/gtest.h>

// Under libFuzzer a failed expectation ends the program: the exception is caught by nobody.
extern "C" int LLVMFuzzerInitialize(int*, char***) {
  GTEST_FLAG_SET(throw_on_failure, true);
  return 0;
}
