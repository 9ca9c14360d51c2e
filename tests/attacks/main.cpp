// Runs the attacks and counts them. Rows are numbered as in the list that the project keeps of what a
// dishonest provider, a forged file or a careless reader can try.
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <set>

#include "attacks/rows.h"

namespace aftune::attacks {
namespace {

int tried = 0, caught = 0;
std::set<int> seen;

// Rows about commitment, training, answers, numbers, hostile bytes and reading.
// Of numbers 33 and 34 also kernel tests speak; 35 and 38 are parsers' (tests/unit, tests/fuzz), 40 and 41
// files' (tests/unit/base, resume.*).
std::set<int> demanded() {
  std::set<int> rows;
  for (int row = 1; row <= 34; ++row) rows.insert(row);
  rows.insert({36, 37, 39, 42});
  return rows;
}

int report() {
  if (tried > 0) std::printf("%d cheats tried, %d caught\n", tried, caught);
  if (!testing::GTEST_FLAG(filter).empty() && testing::GTEST_FLAG(filter) != "*") return 0;
  if (std::getenv("GTEST_TOTAL_SHARDS") != nullptr) return tried == caught ? 0 : 1;
  int missing = 0;
  for (const int row : demanded())
    if (seen.count(row) == 0) {
      std::printf("row %d: no test\n", row);
      ++missing;
    }
  return missing == 0 && tried == caught && tried >= 60 ? 0 : 1;
}

}  // namespace

void rows(std::initializer_list<int> numbers) {
  seen.insert(numbers.begin(), numbers.end());
  for (const int number : numbers) testing::Test::RecordProperty("row", number);
}

void cheat(bool was_caught) {
  ++tried;
  caught += was_caught ? 1 : 0;
}

}  // namespace aftune::attacks

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  const int failed = RUN_ALL_TESTS();
  const int missing = aftune::attacks::report();
  return failed != 0 ? failed : missing;
}
