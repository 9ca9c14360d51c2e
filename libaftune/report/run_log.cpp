#include "report/run_log.h"

#include "base/error.h"
#include "trace/log.h"

namespace aftune::report {
namespace {

void read_steps(const std::vector<std::string>& leaves, RunLog& run) {
  const record::Grid& grid = run.manifest.grid;
  for (std::int64_t t = 0; t < grid.steps && grid.step_leaf(t) < std::ssize(leaves); ++t) {
    const auto at = static_cast<std::size_t>(grid.step_leaf(t));
    const record::Step step =
        within(cat("line ", at + 1), [&] { return record::parse_step(leaves[at], grid); });
    run.losses.push_back(step.loss);
    if (step.eval_loss) run.evals.push_back({t, *step.eval_loss});
  }
}

}  // namespace

RunLog read_run_log(const fs::path& path, const audit::Verdict& verdict) {
  const trace::Log log = trace::Log::read(path);
  return within(path.native(), [&] {
    if (log.leaves.empty()) fail(Fault::kUsage, "empty");
    if (to_hex(log.tree().root()) != verdict.root)
      fail(Fault::kUsage, "not the log that the verdict is of: the roots differ");
    RunLog run;
    run.manifest = within("line 1", [&] { return record::parse_manifest(log.leaves.front()); });
    if (verdict.grid.steps != 0 && !(run.manifest.grid == verdict.grid))
      fail(Fault::kUsage, "not the log that the verdict is of: the grids differ");
    read_steps(log.leaves, run);
    return run;
  });
}

}  // namespace aftune::report
