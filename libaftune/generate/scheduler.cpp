#include "generate/scheduler.h"

#include <algorithm>
#include <chrono>
#include <optional>
#include <utility>

#include "base/error.h"
#include "hash/blake3.h"

namespace aftune::generate {
namespace {

using Clock = std::chrono::steady_clock;

double seconds(Clock::time_point from, Clock::time_point to) {
  return std::chrono::duration<double>(to - from).count();
}

}  // namespace

struct Scheduler::Entry {
  Entry(AskId number, const Ask& ask, Listener to, Answering how)
      : id(number), prompt(ask.prompt), listener(std::move(to)), answering(std::move(how)) {}

  AskId id;
  std::vector<std::int32_t> prompt;
  Listener listener;
  Answering answering;
  std::int64_t positions = 0;  // that its cache may have to hold
  std::optional<Sequence> sequence;
  std::vector<hash::Blake3> digests;
  std::size_t told = 0;  // bytes of text that its listener has
  bool drew = false;     // a token in this pass
  bool ended = false;
  Outcome outcome;
  Clock::time_point submitted = Clock::now(), begun, first_token;

  // What the model has not seen of prompt and answer.
  std::span<const std::int32_t> unseen() const {
    const auto seen = static_cast<std::size_t>(sequence->length());
    if (seen < prompt.size()) return std::span(prompt).subspan(seen);
    return std::span(answering.answer().tokens).last(1);
  }
  bool in_prompt() const { return sequence->length() < std::ssize(prompt); }

  void end(Ended how, std::string error = {}) {
    ended = true;
    outcome.how = how;
    outcome.error = std::move(error);
    sequence.reset();
  }
  void finish();
};

void Scheduler::Entry::finish() {
  const Clock::time_point now = Clock::now();
  outcome.timing = {seconds(submitted, begun), seconds(begun, first_token), seconds(first_token, now)};
  for (const hash::Blake3& digest : digests) outcome.boundaries.push_back(digest.finish());
  end(Ended::kFinished);
}

Scheduler::Scheduler(Decoder& decoder, const tokenizer::Tokenizer& tokenizer, SchedulerOptions options)
    : decoder_(decoder), tokenizer_(tokenizer), options_(options) {
  if (options.running < 1) fail(Fault::kUsage, "no answer may run");
  if (options.pass_tokens < options.running)
    fail(Fault::kUsage, "a pass of ", options.pass_tokens, " tokens has none for some of ", options.running,
         " answers");
}

Scheduler::~Scheduler() = default;

AskId Scheduler::submit(const Ask& ask, Listener listener) {
  const model::Config& config = decoder_.options().config;
  check(ask, config.vocab, config.max_position);
  auto entry =
      std::make_unique<Entry>(0, ask, std::move(listener), Answering(ask, tokenizer_, config.max_position));
  // The last token of an answer is never given to the model.
  const std::int64_t room = config.max_position - std::ssize(ask.prompt);
  entry->positions = std::ssize(ask.prompt) + std::min(ask.max_tokens, room) - 1;
  if (const std::int64_t bytes = decoder_.cache_bytes(entry->positions); bytes > options_.cache_bytes)
    fail(Fault::kUsage, "prompt and max_tokens: ", entry->positions, " positions take ", bytes,
         " bytes of keys and values, more than the ", options_.cache_bytes, " there are");
  const std::lock_guard lock(mutex_);
  if (closed_) fail(Fault::kUsage, "no more requests are taken");
  const AskId id = entry->id = ++last_id_;
  waiting_.push_back(std::move(entry));
  work_.notify_one();
  return id;
}

void Scheduler::cancel(AskId id) {
  const std::lock_guard lock(mutex_);
  cancelled_.insert(id);
}

Scheduler::Load Scheduler::load() const {
  const std::lock_guard lock(mutex_);
  return {waiting_.size(), running_count_};
}

void Scheduler::close() {
  const std::lock_guard lock(mutex_);
  closed_ = true;
  work_.notify_all();
}

bool Scheduler::wait() {
  std::unique_lock lock(mutex_);
  work_.wait(lock, [&] { return closed_ || !waiting_.empty() || running_count_ > 0; });
  return !waiting_.empty() || running_count_ > 0;
}

// Ends what was cancelled and begins what there is room for, in the order it came.
void Scheduler::take_asks() {
  const std::lock_guard lock(mutex_);
  // An id that is in neither list has ended before.
  for (Entries* list : {&running_, &waiting_})
    for (const auto& entry : *list)
      if (cancelled_.contains(entry->id)) entry->end(Ended::kCancelled);
  cancelled_.clear();
  while (!waiting_.empty()) {
    Entry& next = *waiting_.front();
    if (!next.ended && !fits(next)) break;
    if (!next.ended) {
      next.begun = Clock::now();
      next.sequence = decoder_.begin(next.positions);
      if (options_.digests)
        next.digests.resize(static_cast<std::size_t>(decoder_.options().grid.boundaries()));
    }
    reserved_bytes_ += decoder_.cache_bytes(next.positions);
    running_.splice(running_.end(), waiting_, waiting_.begin());
  }
  // Behind one that has to wait there may be some that were cancelled.
  for (auto at = waiting_.begin(); at != waiting_.end();) {
    const auto entry = at++;
    if (!(*entry)->ended) continue;
    reserved_bytes_ += decoder_.cache_bytes((*entry)->positions);
    running_.splice(running_.end(), waiting_, entry);
  }
  running_count_ = running_.size();
}

bool Scheduler::fits(const Entry& entry) const {
  const auto alive = std::ranges::count_if(running_, [](const auto& e) { return !e->ended; });
  return alive < options_.running &&
         reserved_bytes_ + decoder_.cache_bytes(entry.positions) <= options_.cache_bytes;
}

bool Scheduler::step() {
  take_asks();
  if (running_.empty()) return false;
  const std::vector<Entry*> pass = choose();
  if (!pass.empty()) run(pass);
  for (const auto& entry : running_)
    if (entry->drew || entry->ended) tell(*entry);
  retire();
  return true;
}

// The answers with a token to come, then the prompts as far as there are tokens in a pass.
std::vector<Scheduler::Entry*> Scheduler::choose() {
  std::vector<Entry*> pass, prompts;
  for (const auto& entry : running_) {
    entry->drew = false;
    if (!entry->ended) (entry->in_prompt() ? prompts : pass).push_back(entry.get());
  }
  std::int64_t left = options_.pass_tokens - std::ssize(pass);
  for (Entry* entry : prompts) {
    if (left <= 0) break;
    left -= std::ssize(entry->unseen());
    pass.push_back(entry);
  }
  return pass;
}

void Scheduler::run(const std::vector<Entry*>& pass) {
  std::vector<Decoder::Feed> feeds;
  std::int64_t left = options_.pass_tokens;
  for (Entry* entry : pass) {
    const std::span<const std::int32_t> unseen = entry->unseen();
    const auto tokens = unseen.first(std::min(unseen.size(), static_cast<std::size_t>(left)));
    left -= std::ssize(tokens);
    feeds.push_back({&*entry->sequence, tokens, tokens.size() == unseen.size()});
  }
  const auto digest_rows = [&](int boundary, const data::Rows& rows, const Matrix& x) {
    digest(pass, boundary, rows, x);
  };
  try {
    const Matrix logits = decoder_.run(feeds, options_.digests ? digest_rows : Decoder::Observer());
    std::vector<Entry*> drawing;
    for (std::size_t i = 0; i < pass.size(); ++i)
      if (feeds[i].wants_logits) drawing.push_back(pass[i]);
    draw(drawing, logits);
  } catch (const std::exception& e) {
    // Prompts and lengths were checked: this is of the machine, and no sequence of the pass is whole.
    for (Entry* entry : pass) entry->end(Ended::kFailed, e.what());
  }
}

void Scheduler::digest(const std::vector<Entry*>& pass, int boundary, const data::Rows& rows,
                       const Matrix& x) {
  const auto one = [&](std::int64_t i, ThreadPool* pool) {
    const auto at = static_cast<std::size_t>(i);
    const std::int64_t first = rows.doc_starts[at], count = rows.doc_starts[at + 1] - first;
    const auto floats = std::span(x.row(first), static_cast<std::size_t>(count * x.cols));
    pass[at]->digests[static_cast<std::size_t>(boundary)].update(std::as_bytes(floats), pool);
  };
  ThreadPool* pool = decoder_.options().pool;
  if (pass.size() == 1) return one(0, pool);
  pool->run(std::ssize(pass), [&](std::int64_t i) { one(i, nullptr); });
}

void Scheduler::draw(const std::vector<Entry*>& drawing, const Matrix& logits) {
  decoder_.options().pool->run(std::ssize(drawing), [&](std::int64_t i) {
    Entry& entry = *drawing[static_cast<std::size_t>(i)];
    try {
      const bool first = entry.answering.answer().tokens.empty();
      const bool last = entry.answering.next({logits.row(i), static_cast<std::size_t>(logits.cols)});
      entry.drew = true;
      if (first) entry.first_token = Clock::now();
      if (last) entry.finish();
    } catch (const std::exception& e) {
      entry.end(Ended::kFailed, e.what());
    }
  });
}

void Scheduler::tell(Entry& entry) {
  Event event;
  event.id = entry.id;
  const std::string text(entry.answering.settled().substr(entry.told));
  const std::int32_t token = entry.drew ? entry.answering.last() : -1;
  if (entry.drew) {
    entry.told += text.size();
    event.text = text;
    event.token = &token;
  }
  if (entry.ended) {
    entry.outcome.answer = entry.answering.take();
    event.outcome = &entry.outcome;
  }
  const Answer& answer = entry.ended ? entry.outcome.answer : entry.answering.answer();
  if (entry.drew && !answer.logprobs.empty()) event.logprobs = &answer.logprobs.back();
  entry.listener(event);
}

void Scheduler::retire() {
  for (const auto& entry : running_)
    if (entry->ended) reserved_bytes_ -= decoder_.cache_bytes(entry->positions);
  std::erase_if(running_, [](const auto& entry) { return entry->ended; });
  const std::lock_guard lock(mutex_);
  running_count_ = running_.size();
}

}  // namespace aftune::generate
