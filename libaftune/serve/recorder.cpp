#include "serve/recorder.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "base/error.h"
#include "base/random.h"
#include "seal/note.h"
#include "trace/hiding_key.h"

namespace aftune::serve {
namespace {

// How often the time rule for checkpoints is looked at.
constexpr std::chrono::milliseconds kTick{200};

std::string origin_of(const seal::SecretKey& key, const record::ServingManifest& manifest) {
  return cat(key.public_key().name(), '/', manifest.run);
}

}  // namespace

Recorder::Recorder(const RecordOptions& options, record::ServingManifest manifest)
    : options_(options), layout_{options.trace} {
  seal::require_use(options_.key->public_key(), seal::KeyUse::kLog);
  const bool there = fs::exists(layout_.log());
  if (there && !options_.resume)
    fail(Fault::kUsage, layout_.root.native(), ": holds a trace; --resume goes on with it");
  if (!there && fs::exists(layout_.root) && !fs::is_empty(layout_.root) && !options_.resume)
    fail(Fault::kUsage, layout_.root.native(), ": is not empty");
  fs::create_directories(layout_.root);
  lock_.emplace(layout_.lock());
  const trace::Log log = there ? trace::Log::read(layout_.log()) : trace::Log{};
  if (log.leaves.empty())
    start_trace(std::move(manifest));
  else
    resume_trace(std::move(manifest), log);
  sign_checkpoint();
  thread_ = std::thread([this] { work(); });
}

Recorder::~Recorder() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wake_.notify_one();
  if (thread_.joinable()) thread_.join();
}

// The secret is on disk before any leaf is salted with it.
void Recorder::start_trace(record::ServingManifest manifest) {
  const record::RunSecret secret = trace::new_hiding_key();
  trace::write_hiding_key(layout_.hiding_key(), secret);
  salts_.emplace(secret);
  manifest_ = std::move(manifest);
  manifest_.hiding_key = record::secret_check(secret);
  if (manifest_.run.empty()) manifest_.run = random_hex(16);
  const std::string leaf = to_leaf(manifest_);
  origin_ = origin_of(*options_.key, manifest_);
  manifest_hash_ = hash::leaf_hash(leaf);
  journal_.emplace(layout_, 0, options_.roll_bytes);
  log_.emplace(layout_.log());
  log_->append({leaf});
  tree_.append(manifest_hash_);
}

void Recorder::resume_trace(record::ServingManifest manifest, const trace::Log& log) {
  manifest_ =
      within(layout_.log().native(), [&] { return record::parse_serving_manifest(log.leaves.front()); });
  if (!manifest.run.empty() && manifest.run != manifest_.run)
    fail(Fault::kUsage, layout_.root.native(), ": is the trace of run ", manifest_.run);
  manifest.run = manifest_.run;
  manifest.created = manifest_.created;
  manifest.software = manifest_.software;
  manifest.hiding_key = manifest_.hiding_key;
  if (to_leaf(manifest) != log.leaves.front())
    fail(Fault::kUsage, layout_.root.native(), ": the trace is of another model, or of other settings");
  const record::RunSecret secret = trace::read_hiding_key(layout_.hiding_key());
  if (record::secret_check(secret) != manifest_.hiding_key)
    fail(Fault::kUsage, layout_.hiding_key().native(), ": is not the secret of this trace");
  salts_.emplace(secret);
  origin_ = origin_of(*options_.key, manifest_);
  manifest_hash_ = hash::leaf_hash(log.leaves.front());
  tree_ = log.tree();
  for (std::size_t i = 1; i < log.leaves.size(); ++i) {
    within(cat(layout_.log().native(), ": line ", i + 1), [&] {
      if (record::kind_of_leaf(log.leaves[i]) == "serving-final")
        fail(Fault::kUsage, "this serving period has ended; start another trace");
      const auto request = record::parse_request(log.leaves[i]);
      ++totals_.answers;
      totals_.prompt_tokens += request.prompt_tokens;
      totals_.answer_tokens += request.answer_tokens;
    });
  }
  if (fs::exists(fs::symlink_status(layout_.checkpoint()))) {
    within(layout_.checkpoint().native(), [&] {
      const auto note =
          seal::Note::parse(read_file(layout_.checkpoint(), seal::kMaxNoteBytes, Links::kRefuse));
      if (seal::check_note(note, options_.key->public_key()) != seal::NoteCheck::kValid)
        fail(Fault::kUsage, "is not signed by ", options_.key->public_key().vkey());
      const auto sealed = seal::Checkpoint::parse(note.text);
      if (sealed.origin != origin_ || sealed.size > tree_.size() || tree_.root(sealed.size) != sealed.root)
        fail(Fault::kUsage, "the log does not extend what this checkpoint seals");
    });
  }
  journal_.emplace(layout_, static_cast<std::int64_t>(tree_.size()), options_.roll_bytes);
  log_.emplace(layout_.log());
}

void Recorder::add(record::Exchange exchange, std::vector<Digest> boundaries,
                   std::function<void(const Outcome&)> then) {
  {
    const std::lock_guard lock(mutex_);
    AFTUNE_CHECK(!stop_);
    waiting_.push_back({std::move(exchange), std::move(boundaries), std::move(then)});
  }
  wake_.notify_one();
}

void Recorder::work() {
  std::unique_lock lock(mutex_);
  for (;;) {
    wake_.wait_for(lock, kTick, [&] { return stop_ || !waiting_.empty(); });
    if (waiting_.empty() && stop_) return;
    std::vector<Waiting> group = std::exchange(waiting_, {});
    busy_ = true;
    lock.unlock();
    if (!group.empty()) write(std::move(group));
    try {
      if (!failure_ && checkpoint_due()) sign_checkpoint();
    } catch (...) {
      fail_now();
    }
    lock.lock();
    busy_ = false;
    idle_.notify_all();
  }
}

// The first failure is the last: a log that goes on after one could not say what is in it.
void Recorder::write(std::vector<Waiting> group) {
  std::vector<seal::SignedReceipt> receipts;
  if (!failure_) {
    try {
      receipts = write_group(group);
    } catch (...) {
      fail_now();
    }
  }
  std::string problem;
  if (failure_) {
    try {
      std::rethrow_exception(failure_);
    } catch (const std::exception& e) {
      problem = cat("the answer could not be recorded: ", e.what());
    }
  }
  for (std::size_t i = 0; i < group.size(); ++i)
    group[i].then(i < receipts.size() ? Outcome{receipts[i], ""} : Outcome{std::nullopt, problem});
}

std::vector<seal::SignedReceipt> Recorder::write_group(const std::vector<Waiting>& group) {
  const std::int64_t time = options_.now();
  const auto first = static_cast<std::int64_t>(tree_.size());
  std::vector<std::string> lines, leaves;
  for (const Waiting& w : group) {
    const std::int64_t leaf = first + std::ssize(leaves);
    lines.push_back(record::to_journal(leaf, w.exchange));
    leaves.push_back(to_leaf(record::publish(w.exchange, w.boundaries, leaf, time, *salts_)));
  }
  journal_->append(lines);
  log_->append(leaves);
  append_hashes(leaves);
  std::vector<seal::SignedReceipt> receipts;
  for (std::size_t i = 0; i < group.size(); ++i) {
    const record::Exchange& exchange = group[i].exchange;
    const Digest& leaf = tree_.leaves()[static_cast<std::size_t>(first) + i];
    ++totals_.answers;
    totals_.prompt_tokens += std::ssize(exchange.prompt);
    totals_.answer_tokens += std::ssize(exchange.tokens);
    receipts.push_back(seal::sign_receipt({.origin = origin_,
                                           .index = static_cast<std::uint64_t>(first) + i,
                                           .leaf = leaf,
                                           .model = manifest_.base.root,
                                           .request = record::request_digest(exchange),
                                           .answer = record::answer_digest(exchange),
                                           .time = time,
                                           .merge_by = time + manifest_.merge_delay},
                                          *options_.key));
  }
  if (checkpoint_.size == static_cast<std::uint64_t>(first)) oldest_unsealed_ = time;
  return receipts;
}

void Recorder::append_hashes(const std::vector<std::string>& leaves) {
  std::vector<Digest> hashes;
  for (const std::string& leaf : leaves) hashes.push_back(hash::leaf_hash(leaf));
  const std::lock_guard lock(mutex_);
  for (const Digest& hash : hashes) tree_.append(hash);
}

void Recorder::fail_now() {
  failure_ = std::current_exception();
  failed_ = true;
}

// Only its own thread writes the tree and the checkpoint once it runs.
bool Recorder::checkpoint_due() const {
  const std::uint64_t unsealed = tree_.size() - checkpoint_.size;
  if (unsealed == 0) return false;
  return unsealed >= static_cast<std::uint64_t>(options_.checkpoint_leaves) ||
         options_.now() - oldest_unsealed_ >= manifest_.merge_delay / 2;
}

void Recorder::sign_checkpoint() {
  const seal::Checkpoint next{origin_, tree_.size(), tree_.root()};
  const std::string note = seal::sign_checkpoint(next, *options_.key).to_text();
  write_file(layout_.checkpoint(), note);
  write_file(layout_.manifest_proof(),
             seal::LeafProof{.index = 0, .proof = tree_.inclusion(0, tree_.size()), .note = note}.to_text());
  const std::lock_guard lock(mutex_);
  checkpoint_ = next;
  note_ = note;
}

seal::Checkpoint Recorder::checkpoint() const {
  const std::lock_guard lock(mutex_);
  return checkpoint_;
}

std::string Recorder::note() const {
  const std::lock_guard lock(mutex_);
  return note_;
}

std::optional<seal::LeafProof> Recorder::proof(std::uint64_t leaf) const {
  const std::lock_guard lock(mutex_);
  if (leaf >= checkpoint_.size) return std::nullopt;
  return seal::LeafProof{.index = leaf, .proof = tree_.inclusion(leaf, checkpoint_.size), .note = note_};
}

void Recorder::close(bool end) {
  {
    std::unique_lock lock(mutex_);
    idle_.wait(lock, [&] { return waiting_.empty() && !busy_; });
    stop_ = true;
  }
  wake_.notify_one();
  thread_.join();
  if (failure_) std::rethrow_exception(failure_);
  if (end) {
    const std::string leaf = to_leaf(totals_);
    log_->append({leaf});
    append_hashes({leaf});
  }
  sign_checkpoint();
}

}  // namespace aftune::serve
