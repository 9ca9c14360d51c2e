#pragma once

#include <gtest/gtest.h>

#include <string>

#include "base/error.h"

namespace aftune::testing_support {

/// The message with which body refuses what its user gave it; "accepted" if it does not.
template <class Body>
std::string usage(Body&& body) {
  try {
    body();
  } catch (const Error& e) {
    EXPECT_EQ(e.fault(), Fault::kUsage) << e.what();
    return e.what();
  }
  return "accepted";
}

/// Whose fault body says it is. A failure if it does not fail.
template <class Body>
Fault fault_of(Body&& body) {
  try {
    body();
  } catch (const Error& e) {
    return e.fault();
  }
  ADD_FAILURE() << "no error";
  return Fault::kDevice;
}

}  // namespace aftune::testing_support
