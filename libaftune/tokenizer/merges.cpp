#include "tokenizer/merges.h"

#include <algorithm>
#include <functional>
#include <limits>
#include <queue>
#include <string>
#include <tuple>
#include <utility>

#include "base/error.h"
#include "base/printable.h"

namespace aftune::tokenizer {
namespace {

constexpr std::uint32_t kNoRank = std::numeric_limits<std::uint32_t>::max();
constexpr std::size_t kScanAtMost = 40;

std::pair<std::string_view, std::string_view> parts_of(const Json& merge) {
  const auto malformed = [] { fail(Fault::kEvidence, R"(not "left right" or ["left", "right"])"); };
  if (merge.is_array()) {
    if (merge.size() != 2 || !merge[0].is_string() || !merge[1].is_string()) malformed();
    return {merge[0].get_ref<const std::string&>(), merge[1].get_ref<const std::string&>()};
  }
  if (!merge.is_string()) malformed();
  const std::string_view text = merge.get_ref<const std::string&>();
  const std::size_t space = text.find(' ');
  if (space == std::string_view::npos || text.find(' ', space + 1) != std::string_view::npos) malformed();
  return {text.substr(0, space), text.substr(space + 1)};
}

std::int32_t known_id(const Vocabulary& vocabulary, std::string_view token) {
  const std::int32_t id = vocabulary.id_of(token);
  if (id < 0) fail(Fault::kEvidence, '"', printable(token), "\" is not in the vocabulary");
  return id;
}

// The symbols of one long word while they are merged: a doubly linked list inside arrays, and a queue of the
// merges that were possible when they were put in.
class QueuedWord {
 public:
  QueuedWord(const Merges& merges, std::vector<std::int32_t>& symbols)
      : merges_(merges), symbols_(symbols), next_(symbols.size()), previous_(symbols.size()) {
    found_.resize(symbols.size());
    for (std::size_t i = 0; i < symbols.size(); ++i) {
      next_[i] = static_cast<std::uint32_t>(i + 1);
      previous_[i] = static_cast<std::uint32_t>(i - 1);
    }
    for (std::uint32_t i = 0; i < symbols.size(); ++i) look_up(i);
  }

  void merge_all() {
    while (!queue_.empty()) {
      const auto rank = static_cast<std::uint32_t>(queue_.top() >> 32);
      const auto at = static_cast<std::uint32_t>(queue_.top());
      queue_.pop();
      // What was queued may have been merged into a neighbour, or have another neighbour, since.
      if (found_[at] != nullptr && found_[at]->rank == rank) merge(at);
    }
    std::size_t kept = 0;
    for (std::size_t i = 0; i < symbols_.size(); i = next_[i]) symbols_[kept++] = symbols_[i];
    symbols_.resize(kept);
  }

 private:
  void look_up(std::uint32_t at) {
    const std::size_t next = next_[at];
    found_[at] = next < symbols_.size() ? merges_.find(symbols_[at], symbols_[next]) : nullptr;
    if (found_[at] != nullptr) queue_.push(std::uint64_t{found_[at]->rank} << 32 | at);
  }

  void merge(std::uint32_t at) {
    const std::uint32_t gone = next_[at];
    symbols_[at] = found_[at]->merged;
    found_[gone] = nullptr;
    next_[at] = next_[gone];
    if (next_[at] < symbols_.size()) previous_[next_[at]] = at;
    look_up(at);
    if (at > 0) look_up(previous_[at]);
  }

  const Merges& merges_;
  std::vector<std::int32_t>& symbols_;
  std::vector<std::uint32_t> next_;
  std::vector<std::uint32_t> previous_;
  std::vector<const Merges::Merge*> found_;  // the merge of each symbol with its next one
  std::priority_queue<std::uint64_t, std::vector<std::uint64_t>, std::greater<>> queue_;  // rank, then place
};

}  // namespace

Merges::Merges(std::vector<Merge> merges, std::int32_t end_id) : sorted_(std::move(merges)) {
  // Of a pair that stands more than once, the one with the highest rank comes first and is kept.
  std::ranges::sort(sorted_, [](const Merge& a, const Merge& b) {
    return std::tuple(a.left, a.right, b.rank) < std::tuple(b.left, b.right, a.rank);
  });
  const auto same = [](const Merge& a, const Merge& b) { return a.left == b.left && a.right == b.right; };
  sorted_.erase(std::unique(sorted_.begin(), sorted_.end(), same), sorted_.end());
  starts_.resize(static_cast<std::size_t>(end_id) + 1);
  for (const Merge& merge : sorted_) ++starts_[static_cast<std::size_t>(merge.left) + 1];
  for (std::size_t i = 1; i < starts_.size(); ++i) starts_[i] += starts_[i - 1];
}

Merges Merges::from_json(const Json& merges, const Vocabulary& vocabulary) {
  if (!merges.is_array()) fail(Fault::kEvidence, "merges: not a JSON array");
  if (merges.size() >= kNoRank) fail(Fault::kEvidence, "merges: too many");
  std::vector<Merge> list;
  list.reserve(merges.size());
  std::string whole;
  for (const Json& merge : merges) {
    const auto rank = static_cast<std::uint32_t>(list.size());
    try {
      const auto [left, right] = parts_of(merge);
      whole.assign(left).append(right);
      list.push_back(
          {known_id(vocabulary, left), known_id(vocabulary, right), known_id(vocabulary, whole), rank});
    } catch (Error& e) {
      e.within(cat("merges: number ", rank));
      throw;
    }
  }
  return Merges(std::move(list), vocabulary.end_id());
}

const Merges::Merge* Merges::find(std::int32_t left, std::int32_t right) const {
  const auto at = static_cast<std::size_t>(left);
  if (at + 1 >= starts_.size()) return nullptr;
  const auto begin = sorted_.begin() + starts_[at];
  const auto end = sorted_.begin() + starts_[at + 1];
  const auto found = std::ranges::lower_bound(begin, end, right, {}, &Merge::right);
  return found != end && found->right == right ? &*found : nullptr;
}

void Merges::apply(std::vector<std::int32_t>& symbols) const {
  symbols.size() <= kScanAtMost ? apply_by_scanning(symbols) : apply_by_queue(symbols);
}

void Merges::apply_by_scanning(std::vector<std::int32_t>& symbols) const {
  if (symbols.size() < 2) return;
  std::vector<const Merge*> found(symbols.size() - 1);
  for (std::size_t i = 0; i < found.size(); ++i) found[i] = find(symbols[i], symbols[i + 1]);
  const auto rank = [](const Merge* merge) { return merge == nullptr ? kNoRank : merge->rank; };
  while (!found.empty()) {
    const auto best = std::ranges::min_element(found, {}, rank);
    if (*best == nullptr) return;
    const auto at = static_cast<std::size_t>(best - found.begin());
    symbols[at] = (*best)->merged;
    symbols.erase(symbols.begin() + static_cast<std::ptrdiff_t>(at) + 1);
    found.erase(best);
    if (at < found.size()) found[at] = find(symbols[at], symbols[at + 1]);
    if (at > 0) found[at - 1] = find(symbols[at - 1], symbols[at]);
  }
}

void Merges::apply_by_queue(std::vector<std::int32_t>& symbols) const {
  AFTUNE_CHECK(symbols.size() < kNoRank);
  QueuedWord(*this, symbols).merge_all();
}

}  // namespace aftune::tokenizer
