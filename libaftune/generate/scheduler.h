#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "generate/answer.h"
#include "generate/decoder.h"

namespace aftune::generate {

using AskId = std::uint64_t;

enum class Ended { kFinished, kFailed, kCancelled };

/// How long an answer took, in seconds.
struct Timing {
  double queued = 0;   ///< until its prompt was begun
  double prefill = 0;  ///< from then to its first token
  double decode = 0;   ///< from then to its last
};

/// The end of an answer.
struct Outcome {
  Ended how = Ended::kFinished;
  Answer answer;                   ///< whole if it finished
  std::vector<Digest> boundaries;  ///< if it finished: of each boundary, BLAKE3 of its f32 rows,
                                   ///< little-endian, [prompt + answer - 1 positions, hidden]
  std::string error;               ///< why it failed
  Timing timing;
};

/// What happens to an answer: a token of it was drawn, or it has ended. What is pointed to is valid in the
/// call alone.
struct Event {
  AskId id = 0;
  std::string_view text;                                ///< what became settled with it; may be empty
  const std::int32_t* token = nullptr;                  ///< null if it ended without another token
  const std::vector<TokenLogprob>* logprobs = nullptr;  ///< of the token, if asked for
  Outcome* outcome = nullptr;  ///< at the end, with the last token's event; may be moved from
};

struct SchedulerOptions {
  int running = 32;                                  ///< answers that grow at once, at most
  std::int64_t pass_tokens = 512;                    ///< tokens in a pass, at most; at least `running`
  std::int64_t cache_bytes = std::int64_t{4} << 30;  ///< keys and values of all running answers, at most
  bool digests = true;                               ///< of boundaries
};

/// Grows many answers at once. In each pass every running answer gets its next token, and what is left of
/// pass_tokens goes to the prompts of those that came first, in pieces. Asks wait in the order they came
/// until there is room for all that their answer may need. None of this decides a bit of an answer.
///
/// submit, cancel, load and close may be called from any thread, also from a listener; step and wait from one
/// thread at a time. Listeners are called by step, one at a time, perhaps before submit has returned, and
/// must not throw. What has not ended when the scheduler is destroyed is dropped, and nobody hears of it.
class Scheduler {
 public:
  using Listener = std::function<void(const Event&)>;

  /// Keeps references to both. Throws Error{kUsage} for options that leave no room.
  Scheduler(Decoder& decoder, const tokenizer::Tokenizer& tokenizer, SchedulerOptions options = {});
  ~Scheduler();

  /// Throws Error{kUsage} as check(ask), if its cache would never fit, and after close(). The queue has no
  /// bound: the caller looks at load().
  AskId submit(const Ask& ask, Listener listener);
  /// It ends as kCancelled, unless it has ended. An id that is not known is nothing.
  void cancel(AskId id);
  /// Asks that wait, and answers that grow.
  struct Load {
    std::size_t waiting = 0, running = 0;
  };
  Load load() const;
  /// Takes no more asks; those there are go on.
  void close();

  /// One pass. False if there was nothing to do. What goes wrong with one answer ends that one alone.
  bool step();
  /// Sleeps until step() has something to do. False when it never will: closed, and all answers ended.
  bool wait();

 private:
  struct Entry;
  using Entries = std::list<std::unique_ptr<Entry>>;

  void take_asks();
  bool fits(const Entry& entry) const;
  std::vector<Entry*> choose();
  void run(const std::vector<Entry*>& pass);
  void digest(const std::vector<Entry*>& pass, int boundary, const data::Rows& rows, const Matrix& x);
  void draw(const std::vector<Entry*>& drawing, const Matrix& logits);
  void tell(Entry& entry);
  void retire();

  Decoder& decoder_;
  const tokenizer::Tokenizer& tokenizer_;
  SchedulerOptions options_;
  Entries running_;                  // of the thread that steps
  std::int64_t reserved_bytes_ = 0;  // of running_, likewise

  mutable std::mutex mutex_;  // of all below
  std::condition_variable work_;
  Entries waiting_;
  std::set<AskId> cancelled_;
  std::size_t running_count_ = 0;
  AskId last_id_ = 0;
  bool closed_ = false;
};

}  // namespace aftune::generate
