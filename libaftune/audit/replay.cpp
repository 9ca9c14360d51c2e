#include "audit/replay.h"

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <optional>

#include "audit/block_lists.h"
#include "audit/block_state.h"
#include "audit/cell_replay.h"
#include "audit/rejection.h"
#include "audit/run_replay.h"
#include "base/error.h"
#include "hash/blake3.h"

namespace aftune::audit {
namespace {

// The nearest snapshot at or before state s and not before `least`.
std::optional<std::int64_t> nearest_snapshot(TensorSource& source, std::int64_t s, std::int64_t least) {
  for (std::int64_t q = s; q >= least; --q)
    if (source.has_state(q)) return q;
  return std::nullopt;
}

// Goes through step blocks in order, from snapshots and from where it is, so that every asked one is replayed
// and as little else as possible.
class Walk {
 public:
  using Step = std::function<void(std::int64_t)>;

  // load(s) puts the replay at state s; run(s) takes it from there to s + 1.
  Walk(TensorSource& source, Findings& findings, Step load, Step run)
      : source_(source), findings_(findings), load_(std::move(load)), run_(std::move(run)) {}

  // True if step block s was replayed and nothing differed. To be called with ascending s.
  bool replay(std::int64_t s) {
    current_ = s;
    try {
      go_to(s);
      run_(s);
      at_ = s + 1;
      return true;
    } catch (const Rejection& rejection) {
      report(rejection, findings_);
      at_.reset();
      least_ = current_ + 1;
      return false;
    }
  }

 private:
  void go_to(std::int64_t s) {
    const std::int64_t least = at_.value_or(least_);
    const auto snapshot = nearest_snapshot(source_, s, least);
    if (!snapshot && !at_)
      throw Rejection(Code::kAbsent, cat("step block ", s),
                      least_ == 0
                          ? std::string("no snapshot at or before it")
                          : cat("no snapshot after step block ", least_ - 1, ", which did not replay"));
    // A snapshot is read even where the replay has just come to the same state: it must be that state.
    if (snapshot) {
      at_.reset();
      load_(*snapshot);
      at_ = snapshot;
    }
    for (; *at_ < s; ++*at_) {
      current_ = *at_;
      run_(*at_);
    }
    current_ = s;
  }

  TensorSource& source_;
  Findings& findings_;
  Step load_, run_;
  std::optional<std::int64_t> at_;
  std::int64_t least_ = 0;
  std::int64_t current_ = 0;
};

// Whether one block can be replayed by itself up to and through step block s. Throws Rejection.
bool boundaries_reach(TensorSource& source, std::int64_t s) {
  if (!source.has_boundaries(s)) return false;
  for (std::int64_t q = s; !source.has_state(q); --q)
    if (q == 0 || !source.has_boundaries(q - 1)) return false;
  return true;
}

// Step blocks, and the asked blocks in each.
using Asked = std::map<std::int64_t, std::set<int>>;

class CellReplayer {
 public:
  CellReplayer(const LogView& log, TensorSource& source, const model::EngineOptions& options,
               const ReplayLimits& limits, Findings& findings, Progress& progress)
      : log_(log),
        source_(source),
        options_(options),
        limits_(limits),
        findings_(findings),
        progress_(progress) {}

  std::set<Cell> replay(const std::vector<Cell>& cells) {
    Asked asked;
    for (const Cell& cell : cells) asked[cell.step_block].insert(cell.block);
    Asked whole;
    std::map<int, std::set<std::int64_t>> alone;
    for (const auto& [s, blocks] : asked) {
      try {
        if (boundaries_reach(source_, s))
          for (const int block : blocks) alone[block].insert(s);
        else
          whole[s] = blocks;
      } catch (const Rejection& rejection) {
        report(rejection, findings_);
      }
    }
    for (const auto& [block, rows] : alone) replay_alone(block, rows);
    if (!whole.empty()) replay_whole(whole);
    return std::move(checked_);
  }

 private:
  bool fits(std::uint64_t bytes, const std::string& where) {
    if (limits_.max_memory == 0 || bytes <= limits_.max_memory) return true;
    findings_.add(Code::kTooLarge, where, cat("takes ", bytes, " bytes, more than ", limits_.max_memory));
    return false;
  }

  void replay_alone(int block, const std::set<std::int64_t>& rows) {
    if (!fits(replay_bytes(log_, block), cat("block ", block))) return;
    CellReplay replay(log_, source_, options_, findings_, block);
    Walk walk(
        source_, findings_, [&](std::int64_t s) { replay.load(s); },
        [&](std::int64_t s) { replay.run(s, rows.count(s) != 0); });
    for (const std::int64_t s : rows) {
      if (walk.replay(s)) checked_.insert({block, s});
      progress_.update(++done_);
    }
  }

  void replay_whole(const Asked& rows) {
    std::uint64_t bytes = 0;
    for (int block = 0; block < log_.grid().blocks(); ++block) bytes += replay_bytes(log_, block);
    if (!fits(bytes, "the whole model")) return;
    RunReplay replay(log_, source_, options_, findings_);
    const auto asked = [&](std::int64_t s) {
      const auto found = rows.find(s);
      return found == rows.end() ? std::set<int>{} : found->second;
    };
    Walk walk(
        source_, findings_, [&](std::int64_t s) { replay.load(s); },
        [&](std::int64_t s) { replay.run(s, asked(s)); });
    for (const auto& [s, blocks] : rows) {
      if (walk.replay(s))
        for (const int block : blocks) checked_.insert({block, s});
      done_ += std::ssize(blocks);
      progress_.update(done_);
    }
  }

  const LogView& log_;
  TensorSource& source_;
  const model::EngineOptions& options_;
  const ReplayLimits& limits_;
  Findings& findings_;
  Progress& progress_;
  std::set<Cell> checked_;
  std::int64_t done_ = 0;
};

}  // namespace

std::set<Cell> replay_cells(const LogView& log, TensorSource& source, const model::EngineOptions& options,
                            const std::vector<Cell>& cells, const ReplayLimits& limits, Findings& findings,
                            Progress& progress) {
  return CellReplayer(log, source, options, limits, findings, progress).replay(cells);
}

std::uint64_t replay_bytes(const LogView& log, int block) {
  const BlockLists lists(log, block);
  std::uint64_t bytes = 0;
  for (const TensorSpec& spec : lists.parameter_specs()) bytes += 2 * byte_size(spec);
  for (const TensorSpec& spec : lists.moment_specs()) bytes += byte_size(spec);
  // Per token of a micro-batch and layer: inputs of the two norms, of the products, and their gradients. In
  // floating point, where no claimed size can overflow.
  const model::Config& config = log.config();
  const double layers = block == 0 ? 1.0 : log.grid().layers_per_block;
  const double per_layer = 8.0 * static_cast<double>(config.hidden) +
                           4.0 * static_cast<double>(config.intermediate) +
                           4.0 * config.heads * (config.head_dim + 1.0);
  const auto tokens = static_cast<double>(std::max<std::int64_t>(2048, log.manifest().recipe.seq_len));
  const double activations = tokens * per_layer * layers * sizeof(float);
  return bytes + static_cast<std::uint64_t>(std::min(activations, 1e18));
}

void check_last_snapshot(const LogView& log, TensorSource& source, Findings& findings) {
  const std::int64_t s = log.grid().step_blocks();
  try {
    if (!source.has_state(s)) return;
    const record::State state = log.state(s);
    for (int block = 0; block < log.grid().blocks(); ++block) {
      const BlockLists lists(log, block);
      const auto digests = [&](const std::vector<TensorSpec>& specs) {
        std::vector<Digest> out;
        for (const TensorSpec& spec : specs) {
          Buffer buffer(element_count(spec.shape));
          source.read_state(s, spec, buffer.mutable_bytes());
          out.push_back(hash::blake3(buffer.bytes()));
        }
        return record::list_digest(specs, out);
      };
      const Digest found =
          record::block_digest(digests(lists.parameter_specs()), digests(lists.moment_specs()));
      const Digest& expected = state.blocks[static_cast<std::size_t>(block)];
      if (found != expected)
        throw Rejection(Code::kEvidence, source.state_name(s, ""),
                        cat("block ", block, ": ", expected_found(expected, found)));
    }
  } catch (const Rejection& rejection) {
    report(rejection, findings);
  }
}

}  // namespace aftune::audit
