// Seals a growing log in a child process that SIGKILL ends at random moments: whatever files are there then
// hold for the log, and sealing again gives the files of a log that was sealed in peace: seal_driver FOLDER
// KILLS SECONDS SEED
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <thread>

#include "sealable_log.h"
#include "trace/commit.h"
#include "trace/leaf_hashes.h"

namespace aftune {
namespace {

using Clock = std::chrono::steady_clock;
using testing_support::SealableLog;

double since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

[[noreturn]] void child(const SealableLog& log) {
  try {
    const trace::Commitment made = trace::commit(log.layout(), SealableLog::key());
    ::_exit(made.problem.empty() ? 0 : 1);
  } catch (const std::exception& e) {
    std::fprintf(stderr, "seal_driver: error: %s\n", e.what());
    ::_exit(2);
  }
}

// True if the child was killed before it was done.
bool killed_after(const SealableLog& log, std::chrono::duration<double> delay) {
  const pid_t pid = ::fork();
  if (pid == 0) child(log);
  std::this_thread::sleep_for(delay);
  ::kill(pid, SIGKILL);
  int status = 0;
  ::waitpid(pid, &status, 0);
  if (WIFSIGNALED(status)) return true;
  if (status != 0) fail(Fault::kSystem, "the child ended with status ", status);
  return false;
}

std::string text_of(const fs::path& path) {
  return read_file(path, 1 << 26);
}

// What an auditor may find at any moment.
void check_what_is_there(const SealableLog& log) {
  const hash::MerkleTree tree = log.tree();
  const trace::Layout& layout = log.layout();
  const auto holds = [&](const std::string& text) {
    const seal::Note note = seal::Note::parse(text);
    const seal::Checkpoint c = seal::Checkpoint::parse(note.text);
    if (seal::check_note(note, SealableLog::key().public_key()) != seal::NoteCheck::kValid ||
        c.size > tree.size() || tree.root(c.size) != c.root)
      fail(Fault::kSystem, "a checkpoint does not hold");
    return c;
  };
  if (fs::exists(layout.checkpoint())) {
    const std::uint64_t sealed = holds(text_of(layout.checkpoint())).size;
    if (fs::file_size(layout.leaf_hashes()) < 32 * sealed) fail(Fault::kSystem, "sealed without its hashes");
  }
  if (!fs::exists(layout.manifest_proof())) return;
  const auto proof = seal::LeafProof::parse(text_of(layout.manifest_proof()));
  const seal::Checkpoint c = holds(proof.note);
  if (!hash::verify_inclusion(tree.leaves()[0], 0, c.size, proof.proof, c.root))
    fail(Fault::kSystem, "the manifest's proof does not hold");
}

void check_sealed(const SealableLog& log) {
  const hash::MerkleTree tree = log.tree();
  const std::string note =
      seal::sign_checkpoint({SealableLog::origin(), tree.size(), tree.root()}, SealableLog::key()).to_text();
  if (text_of(log.layout().checkpoint()) != note) fail(Fault::kSystem, "the checkpoint is another");
  const seal::LeafProof proof{0, tree.inclusion(0, tree.size()), note};
  if (text_of(log.layout().manifest_proof()) != proof.to_text()) fail(Fault::kSystem, "the proof is another");
  const trace::HashedLog whole{.tree = tree, .bytes = fs::file_size(log.layout().log())};
  if (text_of(log.layout().leaf_hashes()) != trace::leaf_hashes_text(whole))
    fail(Fault::kSystem, "the hashes are others");
  for (const auto& e : fs::directory_iterator(log.layout().root))
    if (e.path().filename().native().find(".tmp.") != std::string::npos)
      fail(Fault::kSystem, "files left aside");
}

void run(const fs::path& folder, int kills, double seconds, unsigned seed) {
  fs::remove_all(folder);
  std::mt19937 random(seed);
  const Clock::time_point start = Clock::now();
  int done = 0, seals = 0;
  while (done < kills && since(start) < seconds) {
    fs::remove_all(folder);
    SealableLog log(folder);
    for (int round = 0; round < 8; ++round) {
      log.grow(random() % 400 + 1);
      const Clock::time_point begin = Clock::now();
      trace::commit(log.layout(), SealableLog::key());  // how long it takes here
      std::uniform_real_distribution<double> moment(0.0, 1.5 * since(begin));
      for (int i = 0; i < 6; ++i) {
        log.grow(random() % 5);
        done += killed_after(log, std::chrono::duration<double>(moment(random)));
        check_what_is_there(log);
      }
      trace::commit(log.layout(), SealableLog::key());
      check_sealed(log);
      ++seals;
    }
  }
  std::printf("%d kills before %d sealings, seed %u: the files are those of a log sealed in peace\n", done,
              seals, seed);
  if (done == 0) fail(Fault::kSystem, "no sealing was ever killed");
  fs::remove_all(folder);
}

}  // namespace
}  // namespace aftune

int main(int argc, char** argv) {
  if (argc != 5) return 2;
  try {
    aftune::run(argv[1], std::atoi(argv[2]), std::atof(argv[3]), static_cast<unsigned>(std::atoi(argv[4])));
  } catch (const std::exception& e) {
    std::fprintf(stderr, "seal_driver: error: %s\n", e.what());
    return 1;
  }
  return 0;
}
