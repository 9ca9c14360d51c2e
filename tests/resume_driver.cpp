// Trains a tiny model in a child process that SIGKILL ends at random moments, resumes it until it is done,
// and compares log and snapshots with those of a run that was left alone: resume_driver FOLDER KILLS SECONDS
// SEED
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <thread>

#include "small_job.h"
#include "trace/layout.h"
#include "trace/log.h"
#include "trace/segment.h"

namespace aftune {
namespace {

using Clock = std::chrono::steady_clock;
using testing_support::SmallJob;

double since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

[[noreturn]] void child(const train::TrainOptions& options) {
  try {
    train::train(options, {});
    ::_exit(0);
  } catch (const std::exception& e) {
    std::fprintf(stderr, "resume_driver: error: %s\n", e.what());
    ::_exit(2);
  }
}

// Runs the job in a child that is killed after `seconds`. True if it ended by itself before that.
bool run_for(const train::TrainOptions& options, double seconds) {
  const pid_t pid = ::fork();
  if (pid == 0) child(options);
  const Clock::time_point start = Clock::now();
  int status = 0;
  while (::waitpid(pid, &status, WNOHANG) == 0) {
    if (since(start) >= seconds) {
      ::kill(pid, SIGKILL);
      ::waitpid(pid, &status, 0);
      break;
    }
    std::this_thread::sleep_for(std::chrono::microseconds(200));
  }
  if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) return false;
  if (status != 0) fail(Fault::kSystem, "the child ended with status ", status);
  return true;
}

bool same_segments(const fs::path& a, const fs::path& b, const record::Grid& grid) {
  for (std::int64_t i = 0; i <= grid.step_blocks(); ++i) {
    const trace::SegmentReader one(trace::Layout{a}.segment(i)), two(trace::Layout{b}.segment(i));
    const auto entries = one.entries();
    if (entries.size() != two.entries().size()) return false;
    for (const auto& e : entries)
      if (one.read(e.path, e.dtype, e.shape) != two.read(e.path, e.dtype, e.shape)) return false;
  }
  return true;
}

bool has_leftovers(const fs::path& folder) {
  for (const fs::directory_entry& e : fs::directory_iterator(folder))
    if (e.path().filename().native().find(".tmp.") != std::string::npos) return true;
  return false;
}

// One run, killed and resumed until it is done. Returns how often it was killed.
int killed_run(const SmallJob& job, train::TrainOptions options, double whole, std::mt19937& random) {
  options.record->resume = true;
  std::uniform_real_distribution<double> moment(0.0, whole);
  int kills = 0;
  while (!run_for(options, moment(random))) ++kills;
  const std::string log = job.log("killed");
  if (log != job.log("whole")) fail(Fault::kSystem, "the log differs after ", kills, " kills");
  const record::Manifest m = record::parse_manifest(log.substr(0, log.find('\n')));
  if (!same_segments(job.trace("killed"), job.trace("whole"), m.grid))
    fail(Fault::kSystem, "a tensor differs after ", kills, " kills");
  if (read_file(job.folder() / "killed/model.safetensors", 1 << 24) !=
      read_file(job.folder() / "whole/model.safetensors", 1 << 24))
    fail(Fault::kSystem, "the export differs after ", kills, " kills");
  if (has_leftovers(job.trace("killed")) || has_leftovers(job.folder()))
    fail(Fault::kSystem, "files left aside");
  fs::remove_all(job.trace("killed"));
  fs::remove_all(job.folder() / "killed");
  return kills;
}

train::TrainOptions options_of(const SmallJob& job, const std::string& name, bool boundaries) {
  train::TrainOptions o = job.options(name);
  o.recipe.steps = 23;
  o.steps_per_block = 3;
  o.record->store_boundaries = boundaries;
  o.record->compress = boundaries;
  return o;
}

void run(const fs::path& folder, int kills, double seconds, unsigned seed) {
  fs::remove_all(folder);
  const SmallJob job(folder);
  std::mt19937 random(seed);
  const Clock::time_point start = Clock::now();
  int done = 0, runs = 0;
  for (bool boundaries : {false, true}) {
    const Clock::time_point begin = Clock::now();
    run_for(options_of(job, "whole", boundaries), 1e9);
    const double whole = since(begin);
    const double share = boundaries ? 1.0 : 0.5;
    while (done < share * kills && since(start) < share * seconds) {
      done += killed_run(job, options_of(job, "killed", boundaries), whole, random);
      ++runs;
    }
    fs::remove_all(job.trace("whole"));
    fs::remove_all(job.folder() / "whole");
  }
  std::printf("%d kills in %d runs, seed %u: log, tensors and export are those of a run left alone\n", done,
              runs, seed);
  if (done == 0) fail(Fault::kSystem, "no run was ever killed");
  fs::remove_all(folder);
}

}  // namespace
}  // namespace aftune

int main(int argc, char** argv) {
  if (argc != 5) return 2;
  try {
    aftune::run(argv[1], std::atoi(argv[2]), std::atof(argv[3]), static_cast<unsigned>(std::atoi(argv[4])));
  } catch (const aftune::Error& e) {
    std::fprintf(stderr, "resume_driver: error: %s\n", e.what());
    return 1;
  }
  return 0;
}
