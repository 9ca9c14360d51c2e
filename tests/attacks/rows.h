#pragma once

#include <initializer_list>

namespace aftune::attacks {

/// Says which rows of the list of cheats the running test is about.
void rows(std::initializer_list<int> numbers);
/// Counts one cheat, and whether it was caught: by the verdict and for the reason that the test expects.
void cheat(bool caught);

}  // namespace aftune::attacks
