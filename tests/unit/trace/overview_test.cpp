#include "trace/overview.h"

#include <gtest/gtest.h>

#include "record/leaves.h"
#include "scratch.h"
#include "trace/log.h"

namespace aftune::trace {
namespace {

// What a manifest claims costs nothing: segments are looked for as far as there are leaves.
TEST(Overview, OfARunThatClaimsMoreStepsThanAnyoneCanCount) {
  const testing_support::Scratch scratch("overview");
  record::Manifest manifest;
  manifest.run = std::string(32, '0');
  manifest.created = 1;
  manifest.software = "aftune";
  manifest.config = "{}";
  manifest.data_rows = 1;
  manifest.ops = {"add/1"};
  manifest.recipe.steps = std::int64_t{1} << 40;
  manifest.recipe.seq_len = 64;
  manifest.grid = {.layers = 1, .steps = manifest.recipe.steps, .steps_per_block = 1};
  const Layout layout{scratch.path()};
  LogWriter(layout.log()).append({record::to_leaf(manifest)});
  const Overview seen = overview(layout);
  EXPECT_EQ(seen.leaves, 1);
  EXPECT_EQ(seen.segments, 0);
  EXPECT_FALSE(seen.closed);
}

}  // namespace
}  // namespace aftune::trace
