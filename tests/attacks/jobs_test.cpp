// Cells that are replayed side by side.
#include <gtest/gtest.h>

#include "attacks/answer.h"

namespace aftune::attacks {
namespace {

TEST(Jobs, DoNotChangeTheVerdict) {
  const RecordedRun run = fresh_copy({.steps = 9});
  const audit::Challenge challenge =
      challenge_of(run, {.uniform = 3, .inputs = 1, .objective = 1, .ends = 1});
  audit::VerifyOptions options = options_for(open_evidence(run, challenge), challenge);
  const Json one = to_json(audit::verify(options));
  for (const int jobs : {2, 3}) {
    options.jobs = jobs;
    options.threads = 3;
    EXPECT_EQ(to_json(audit::verify(options)), one) << jobs;
  }
}

}  // namespace
}  // namespace aftune::attacks
