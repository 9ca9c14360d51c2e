#include "audit/replay.h"

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <new>
#include <optional>

#include "audit/block_lists.h"
#include "audit/block_state.h"
#include "audit/cell_replay.h"
#include "audit/cost.h"
#include "audit/limits.h"
#include "audit/rejection.h"
#include "audit/run_replay.h"
#include "base/error.h"
#include "hash/blake3.h"

namespace aftune::audit {
namespace {

// The nearest snapshot at or before state s and not before `least`.
std::optional<std::int64_t> nearest_snapshot(TensorSource& source, std::int64_t s, std::int64_t least) {
  if (source.holds_cells()) return s;
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
  Walk(TensorSource& source, Step load, Step run)
      : source_(source), load_(std::move(load)), run_(std::move(run)) {}

  // Why step block s was not replayed to its end; nullopt if it was and nothing differed. To be called with
  // ascending s.
  std::optional<Rejection> replay(std::int64_t s) {
    current_ = s;
    try {
      go_to(s);
      run_(s);
      at_ = s + 1;
      return std::nullopt;
    } catch (const Rejection& rejection) {
      at_.reset();
      least_ = current_ + 1;
      return rejection;
    } catch (const std::bad_alloc&) {
      // The bound on memory is an estimate, and other processes take some: it is no fault of the cell's.
      at_.reset();
      least_ = current_ + 1;
      return Rejection(Code::kTooLarge, cat("step block ", current_), "took more memory than there is");
    }
  }

  // The step block in which the last rejection was made.
  std::int64_t current() const { return current_; }

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
  Step load_, run_;
  std::optional<std::int64_t> at_;
  std::int64_t least_ = 0;
  std::int64_t current_ = 0;
};

// Whether one block can be replayed by itself up to and through step block s. Throws Rejection.
bool boundaries_reach(TensorSource& source, std::int64_t s) {
  if (source.holds_cells()) return true;
  if (!source.has_boundaries(s)) return false;
  for (std::int64_t q = s; !source.has_state(q); --q)
    if (q == 0 || !source.has_boundaries(q - 1)) return false;
  return true;
}

// Step blocks, and the asked blocks in each.
using Asked = std::map<std::int64_t, std::set<int>>;

// Cells of one block that one replay goes through, from one snapshot on.
struct Task {
  int block = 0;
  std::set<std::int64_t> rows;
  Verdict found;
  std::vector<CellVerdict> results;
};

// One pool of threads for each cell that is replayed at a time.
class Pools {
 public:
  Pools(int pools, int threads) {
    for (int i = 0; i < pools; ++i)
      free_.push_back(std::make_unique<ThreadPool>(std::max(1, threads / pools)));
  }
  class Lease {
   public:
    explicit Lease(Pools& pools) : pools_(pools) {
      const std::lock_guard lock(pools.mutex_);
      AFTUNE_CHECK(!pools.free_.empty());
      pool_ = std::move(pools.free_.back());
      pools.free_.pop_back();
    }
    Lease(const Lease&) = delete;
    Lease& operator=(const Lease&) = delete;
    ~Lease() {
      const std::lock_guard lock(pools_.mutex_);
      pools_.free_.push_back(std::move(pool_));
    }
    ThreadPool* get() const { return pool_.get(); }

   private:
    Pools& pools_;
    std::unique_ptr<ThreadPool> pool_;
  };

 private:
  std::mutex mutex_;
  std::vector<std::unique_ptr<ThreadPool>> free_;
};

// What became of a cell whose replay ended early.
CellResult result_of(const Rejection& rejection, bool in_cell) {
  const bool differs = in_cell && class_of(rejection.reason.code) == ReasonClass::kFraud;
  return differs ? CellResult::kRejected : CellResult::kUnanswered;
}

class CellReplayer {
 public:
  CellReplayer(const LogView& log, TensorSource& source, const model::EngineOptions& engine,
               const ReplayOptions& options, Findings& findings, Progress& progress)
      : log_(log),
        source_(source),
        engine_(engine),
        options_(options),
        findings_(findings),
        progress_(progress) {}

  std::vector<CellVerdict> replay(const std::vector<Cell>& cells) {
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
    replay_alone(alone);
    if (!whole.empty()) replay_whole(whole);
    std::vector<CellVerdict> list;
    for (const Cell& cell : cells) {
      const auto found = results_.find(cell);
      list.push_back(found == results_.end() ? CellVerdict{cell, CellResult::kUnanswered, {}}
                                             : found->second);
    }
    return list;
  }

 private:
  bool fits(std::uint64_t bytes, const std::string& where) {
    if (options_.max_memory == 0 || bytes <= options_.max_memory) return true;
    findings_.add(Code::kTooLarge, where, cat("takes ", bytes, " bytes, more than ", options_.max_memory));
    return false;
  }

  // A snapshot begins a task: what lies between snapshots must go in order.
  std::vector<Task> tasks_of(const std::map<int, std::set<std::int64_t>>& alone) {
    std::vector<Task> tasks;
    for (const auto& [block, rows] : alone) {
      if (!fits(replay_bytes(log_, block), cat("block ", block))) continue;
      bool first = true;
      for (const std::int64_t s : rows) {
        if (first || source_.holds_cells() || source_.has_state(s)) tasks.push_back({block, {}, {}, {}});
        tasks.back().rows.insert(s);
        first = false;
      }
    }
    return tasks;
  }

  int jobs_for(const std::vector<Task>& tasks) const {
    if (engine_.pool->accelerator() != nullptr) return 1;  // it takes one thing after the other
    std::uint64_t most = 1;
    for (const Task& task : tasks) most = std::max(most, replay_bytes(log_, task.block));
    auto jobs = std::min<std::uint64_t>(static_cast<std::uint64_t>(std::max(1, options_.jobs)), tasks.size());
    if (options_.max_memory != 0) jobs = std::min(jobs, options_.max_memory / most);
    return static_cast<int>(std::max<std::uint64_t>(1, jobs));
  }

  void replay_alone(const std::map<int, std::set<std::int64_t>>& alone) {
    std::vector<Task> tasks = tasks_of(alone);
    if (tasks.empty()) return;
    const int jobs = jobs_for(tasks);
    if (jobs == 1) {
      for (Task& task : tasks) run(task, engine_.pool);
    } else {
      Pools pools(jobs, engine_.pool->threads());
      ThreadPool(jobs).run(std::ssize(tasks), [&](std::int64_t i) {
        const Pools::Lease pool(pools);
        run(tasks[static_cast<std::size_t>(i)], pool.get());
      });
    }
    for (const Task& task : tasks) {
      findings_.merge(task.found);
      for (const CellVerdict& result : task.results) results_[result.cell] = result;
    }
  }

  // A block that cannot even be made is too large; its cells stay unanswered.
  void run(Task& task, ThreadPool* pool) {
    try {
      run_cells(task, pool);
    } catch (const std::bad_alloc&) {
      Findings(task.found).add(Code::kTooLarge, cat("block ", task.block), "took more memory than there is");
    }
  }

  void run_cells(Task& task, ThreadPool* pool) {
    Findings findings(task.found);
    model::EngineOptions engine = engine_;
    engine.pool = pool;
    CellReplay replay(log_, source_, engine, findings, task.block, options_.rows);
    Walk walk(
        source_, [&](std::int64_t s) { replay.load(s); },
        [&](std::int64_t s) { replay.run(s, task.rows.count(s) != 0); });
    for (const std::int64_t s : task.rows) {
      CellVerdict result{{task.block, s}, CellResult::kChecked, {}};
      if (const auto rejection = walk.replay(s)) {
        report(*rejection, findings);
        result.result = result_of(*rejection, walk.current() == s);
      } else {
        result.replay = replay.replay_value(options_.key);
      }
      task.results.push_back(result);
      count(1);
    }
  }

  void replay_whole(const Asked& rows) {
    std::uint64_t bytes = 0;
    for (int block = 0; block < log_.grid().blocks(); ++block) bytes += replay_bytes(log_, block);
    if (!fits(bytes, "the whole model")) return;
    RunReplay replay(log_, source_, engine_, findings_);
    const auto asked = [&](std::int64_t s) {
      const auto found = rows.find(s);
      return found == rows.end() ? std::set<int>{} : found->second;
    };
    Walk walk(
        source_, [&](std::int64_t s) { replay.load(s); }, [&](std::int64_t s) { replay.run(s, asked(s)); });
    for (const auto& [s, blocks] : rows) {
      const auto rejection = walk.replay(s);
      if (rejection) report(*rejection, findings_);
      for (const int block : blocks) {
        CellVerdict& result = results_[{block, s}];
        result.cell = {block, s};
        if (rejection)
          result.result = result_of(*rejection, rejection->cell == result.cell);
        else
          result = {result.cell, CellResult::kChecked, replay.replay_value(options_.key, block)};
      }
      count(std::ssize(blocks));
    }
  }

  void count(std::int64_t cells) {
    const std::lock_guard lock(progress_mutex_);
    done_ += cells;
    progress_.update(done_);
  }

  const LogView& log_;
  TensorSource& source_;
  const model::EngineOptions& engine_;
  const ReplayOptions& options_;
  Findings& findings_;
  Progress& progress_;
  std::map<Cell, CellVerdict> results_;
  std::mutex progress_mutex_;
  std::int64_t done_ = 0;
};

}  // namespace

std::vector<CellVerdict> replay_cells(const LogView& log, TensorSource& source,
                                      const model::EngineOptions& engine, const std::vector<Cell>& cells,
                                      const ReplayOptions& options, Findings& findings, Progress& progress) {
  return CellReplayer(log, source, engine, options, findings, progress).replay(cells);
}

model::EngineOptions engine_of(const LogView& log, ThreadPool& pool, const model::Checkpoint* base) {
  return {.config = log.config(),
          .grid = log.grid(),
          .recipe = log.manifest().recipe,
          .profile = profile_of(log.manifest()),
          .recompute = false,
          .base = base,
          .pool = &pool};
}

std::uint64_t replay_bytes(const LogView& log, int block) {
  return replay_bytes(log.manifest(), log.config(), block);
}

std::uint64_t replay_bytes(const record::Manifest& manifest, const model::Config& config, int block) {
  const record::Recipe& recipe = manifest.recipe;
  const int group = profile_of(manifest).group;
  // A factor takes two bytes an element and a scale a group; a matrix is kept as two, an activation and a
  // gradient as one or two at a time.
  const double factor = group == 0 ? 0.0 : 0.5 + 1.0 / group;
  std::uint64_t bytes = 0;
  const auto add = [&](const TensorSpec& spec, std::uint64_t kept) {
    bytes += kept;
    if (spec.shape.size() == 2)
      bytes += static_cast<std::uint64_t>(2 * factor * static_cast<double>(byte_size(spec)));
  };
  for (const TensorSpec& spec : model::block_parameter_specs(config, manifest.grid, recipe, block))
    add(spec, 2 * byte_size(spec));
  for (const TensorSpec& spec : model::block_frozen_specs(config, manifest.grid, recipe, block))
    add(spec, model::frozen_bytes(config, spec, manifest.base.dtype));
  for (const TensorSpec& spec : model::block_moment_specs(config, manifest.grid, recipe, block))
    bytes += byte_size(spec);
  // Per token of a micro-batch and layer: inputs of the two norms, of the products, and their gradients. In
  // floating point, where no claimed size can overflow.
  const double layers = block == 0 ? 1.0 : manifest.grid.layers_per_block;
  const double per_layer = 8.0 * static_cast<double>(config.hidden) +
                           4.0 * static_cast<double>(config.intermediate) +
                           4.0 * config.heads * (config.head_dim + 1.0);
  const auto tokens = static_cast<double>(std::max<std::int64_t>(2048, recipe.seq_len));
  const double widest = widest_product(config);
  const double activations = tokens * (per_layer * layers + 4 * factor * widest) * sizeof(float);
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
          source.read_state(s, spec, 0, buffer.mutable_bytes());
          out.push_back(hash::blake3(buffer.bytes()));
        }
        return out;
      };
      const Digest found = log.published_block(s, block,
                                               {lists.parameter_specs(), digests(lists.parameter_specs()),
                                                lists.moment_specs(), digests(lists.moment_specs())});
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
