#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/files.h"
#include "hash/merkle.h"
#include "record/serving.h"
#include "seal/keys.h"
#include "seal/note.h"
#include "seal/receipt.h"
#include "trace/journal.h"
#include "trace/layout.h"
#include "trace/log.h"

namespace aftune::serve {

struct RecordOptions {
  fs::path trace;
  const seal::SecretKey* key = nullptr;   ///< signs receipts and checkpoints
  bool resume = false;                    ///< go on with the trace that is there
  std::int64_t checkpoint_leaves = 4096;  ///< a checkpoint at the latest after so many answers, or half the
                                          ///< manifest's merge delay
  std::uint64_t roll_bytes = std::uint64_t{64} << 20;  ///< of a journal file
  std::function<std::int64_t()> now;                   ///< unix seconds
};

/// Writes the trace of a serving period: an answer's text goes to the journal and its leaf to the log, both
/// on disk before its receipt is signed. A thread of its own does it, for all answers that wait at once, so
/// that what generates never waits for the disk. Holds the trace's lock.
class Recorder {
 public:
  /// `manifest` has no run, time or hiding_key if they are to be drawn; a trace that is resumed has them.
  /// Throws Error{kUsage} if there is a trace and `resume` is false, or the trace is of something else, or
  /// ended; then nothing is changed.
  Recorder(const RecordOptions& options, record::ServingManifest manifest);
  Recorder(const Recorder&) = delete;
  Recorder& operator=(const Recorder&) = delete;
  /// Writes what waits, without closing the log.
  ~Recorder();

  const std::string& origin() const { return origin_; }
  const record::ServingManifest& manifest() const { return manifest_; }
  /// Of leaf 0, which the seeds of requests depend on.
  const Digest& manifest_hash() const { return manifest_hash_; }

  /// Exactly one is set.
  struct Outcome {
    std::optional<seal::SignedReceipt> receipt;
    std::string problem;  ///< the answer is not in the log
  };
  /// Takes an answer, from any thread; `boundaries` are plain digests. `then` is called in the order of the
  /// calls, from the recorder's thread, and must not throw.
  void add(record::Exchange exchange, std::vector<Digest> boundaries,
           std::function<void(const Outcome&)> then);
  /// The checkpoint that is signed now, and how many leaves it seals.
  seal::Checkpoint checkpoint() const;
  /// The note that it is in.
  std::string note() const;
  /// That it seals this leaf; nullopt for a leaf that it does not seal.
  std::optional<seal::LeafProof> proof(std::uint64_t leaf) const;
  /// Writing has failed, and nothing is recorded any more.
  bool failed() const { return failed_; }
  /// Waits until all that was added is done; then signs a checkpoint over it, after the last leaf if the
  /// period is to end here. Throws what writing threw.
  void close(bool end);

 private:
  struct Waiting {
    record::Exchange exchange;
    std::vector<Digest> boundaries;
    std::function<void(const Outcome&)> then;
  };
  void start_trace(record::ServingManifest manifest);
  void resume_trace(record::ServingManifest manifest, const trace::Log& log);
  void work();
  void write(std::vector<Waiting> group);
  std::vector<seal::SignedReceipt> write_group(const std::vector<Waiting>& group);
  void append_hashes(const std::vector<std::string>& leaves);
  bool checkpoint_due() const;
  void fail_now();
  void sign_checkpoint();

  const RecordOptions options_;
  const trace::Layout layout_;
  record::ServingManifest manifest_;
  std::string origin_;
  Digest manifest_hash_;
  std::optional<record::SecretSalts> salts_;
  std::optional<FileLock> lock_;
  std::optional<trace::LogWriter> log_;
  std::optional<trace::JournalWriter> journal_;
  hash::MerkleTree tree_;  // its own thread's, which changes it under mutex_
  record::ServingFinal totals_;

  mutable std::mutex mutex_;
  std::condition_variable wake_, idle_;
  std::vector<Waiting> waiting_;
  bool busy_ = false, stop_ = false;
  seal::Checkpoint checkpoint_;
  std::string note_;
  std::int64_t oldest_unsealed_ = 0;  // when it was written
  std::exception_ptr failure_;        // after it nothing is written
  std::atomic<bool> failed_ = false;  // there is one
  std::thread thread_;
};

}  // namespace aftune::serve
