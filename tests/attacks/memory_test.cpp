// Memory that runs out below every bound that could be known before.
#include <gtest/gtest.h>

#include <new>

#include "attacks/answer.h"
#include "attacks/expect.h"
#include "audit/evidence_file.h"
#include "audit/limits.h"
#include "audit/log_check.h"
#include "audit/replay.h"
#include "base/error.h"

namespace aftune::attacks {
namespace {

using audit::Code;

// Evidence, whose reading takes more than the machine has when a tensor of one step block is asked for.
class Starved : public audit::EvidenceFile {
 public:
  Starved(const fs::path& file, std::int64_t s) : EvidenceFile(file), s_(s) {}
  void read_state(std::int64_t s, const TensorSpec& spec, std::int64_t first,
                  std::span<std::byte> out) override {
    if (s == s_) throw std::bad_alloc();
    EvidenceFile::read_state(s, spec, first, out);
  }

 private:
  std::int64_t s_;
};

TEST(Memory, ThatRunsOutLeavesTheCellUnansweredAndNoOther) {
  const RecordedRun run = fresh_copy({});
  const audit::Challenge challenge = challenge_of(run, {.all = true});
  Starved source(open_evidence(run, challenge), 1);
  std::map<std::int64_t, std::string> leaves;
  for (const audit::OpenedLeaf& leaf : source.index().leaves) leaves[leaf.index] = leaf.text;
  const auto size = std::ssize(leaves);
  audit::LogView log(std::move(leaves), size);
  audit::Verdict verdict;
  audit::Findings findings(verdict);
  ASSERT_TRUE(audit::check_structure(log, findings));
  ThreadPool pool(2);
  const model::EngineOptions engine{.config = log.config(),
                                    .grid = log.grid(),
                                    .recipe = log.manifest().recipe,
                                    .profile = audit::profile_of(log.manifest()),
                                    .recompute = false,
                                    .pool = &pool};
  Progress progress("verify", 9, true);
  for (const int jobs : {1, 2}) {
    const auto results = audit::replay_cells(log, source, engine, source.index().cells,
                                             {.jobs = jobs, .key = {}}, findings, progress);
    ASSERT_EQ(results.size(), 9u);
    for (const audit::CellVerdict& result : results)
      EXPECT_EQ(result.result,
                result.cell.step_block == 1 ? audit::CellResult::kUnanswered : audit::CellResult::kChecked);
  }
  conclude(verdict, 9);
  expect_only(verdict, Code::kTooLarge, "step block 1");
}

}  // namespace
}  // namespace aftune::attacks
