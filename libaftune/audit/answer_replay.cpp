#include "audit/answer_replay.h"

#include <algorithm>
#include <optional>

#include "audit/block_state.h"
#include "audit/judge.h"
#include "audit/limits.h"
#include "audit/log_view.h"
#include "base/error.h"
#include "chat/chat_template.h"
#include "generate/answer.h"
#include "hash/blake3.h"
#include "model/kv_cache.h"
#include "serve/request.h"
#include "serve/served.h"
#include "tokenizer/tokenizer.h"

namespace aftune::audit {
namespace {

// Positions at a time. Memory goes with them; the bits do not.
constexpr std::int64_t kPiece = 512;
// Positions whose logits are there at once: a vocabulary may be large.
constexpr std::int64_t kLogitRows = 32;

// What makes a request tokens, and tokens text.
class Reading {
 public:
  Reading(const ServingLog& log, ServingSource& source) : log_(log) {
    const std::string text = source.read_tokenizer();
    const Digest found = hash::blake3(text), expected = log.manifest().tokenizer;
    if (found != expected) throw Rejection(Code::kEvidence, "tokenizer", expected_found(expected, found));
    try {
      tokenizer_.emplace(tokenizer::Tokenizer::parse(text));
      template_.emplace(chat::ChatTemplate::parse(log.manifest().template_));
    } catch (const Error& e) {
      throw Rejection(Code::kUnsupported, "tokenizer", e.what());
    }
  }

  const tokenizer::Tokenizer& tokenizer() const { return *tokenizer_; }

  /// What was asked for. Throws Rejection if the request is not one that has such an answer.
  generate::Ask ask(const record::Exchange& exchange, const std::string& where) const {
    const record::ServingManifest& m = log_.manifest();
    try {
      const serve::ModelFacts facts{.tokenizer = *tokenizer_,
                                    .chat_template = *template_,
                                    .vocab = log_.config().vocab,
                                    .max_position = log_.config().max_position,
                                    .eos = {m.eos.begin(), m.eos.end()},
                                    .limits = serve::limits_of(m)};
      const std::uint64_t seed = record::seed_of_request(log_.manifest_hash(), request_digest(exchange));
      serve::Request request =
          serve::parse_request(exchange.request, serve::endpoint_from_name(exchange.endpoint), facts,
                               [&](std::string_view) { return seed; });
      if (exchange.ask >= std::ssize(request.asks))
        fail(Fault::kUsage, "asks for ", request.asks.size(), " answers, this is number ", exchange.ask);
      return std::move(request.asks[static_cast<std::size_t>(exchange.ask)]);
    } catch (const Error& e) {
      if (e.fault() == Fault::kSystem) throw;
      throw Rejection(Check::kPrompt, Code::kPrompt, where, cat("the request: ", e.what()));
    }
  }

 private:
  const ServingLog& log_;
  std::optional<tokenizer::Tokenizer> tokenizer_;
  std::optional<chat::ChatTemplate> template_;
};

// The last stage's part: draws the answer anew from the logits that its own tokens give.
class Redraw {
 public:
  Redraw(const generate::Ask& ask, const Reading& reading, std::int64_t max_position,
         const record::Exchange& exchange)
      : answering_(ask, reading.tokenizer(), max_position), exchange_(exchange) {}

  void next(std::span<const float> logits) {
    if (!problem_.empty()) return;
    if (answering_.finished()) {
      problem_ =
          cat("replayed, the answer ends after ", drawn_, " tokens; recorded are ", exchange_.tokens.size());
      return;
    }
    answering_.next(logits);
    const std::int32_t recorded = exchange_.tokens[drawn_];
    if (answering_.last() != recorded)
      problem_ = cat("token ", drawn_, ": replayed ", answering_.last(), ", recorded ", recorded);
    ++drawn_;
  }

  void judge(const Judge& judge, const std::string& where) {
    if (problem_.empty() && !answering_.finished())
      problem_ = cat("replayed, the answer does not end after ", drawn_, " tokens");
    if (problem_.empty() && serve::name(answering_.answer().finish) != exchange_.finish)
      problem_ =
          cat("end: replayed ", serve::name(answering_.answer().finish), ", recorded ", exchange_.finish);
    judge.expect(problem_.empty(), Check::kSampling, Code::kSampling, where, [&] { return problem_; });
    const std::string& text = answering_.answer().text;
    judge.expect(text == exchange_.text, Check::kText, Code::kText, where, [&] {
      const auto differs =
          std::mismatch(text.begin(), text.end(), exchange_.text.begin(), exchange_.text.end());
      return cat("not the text of these tokens: differs from byte ", differs.first - text.begin(), " on");
    });
  }

 private:
  generate::Answering answering_;
  const record::Exchange& exchange_;
  std::size_t drawn_ = 0;
  std::string problem_;
};

class AnswerReplay {
 public:
  AnswerReplay(const ServingLog& log, ServingSource& source, const model::EngineOptions& engine,
               const AnswerReplayOptions& options, Findings& findings)
      : log_(log), source_(source), engine_(engine), options_(options), findings_(findings) {}

  /// Makes the blocks ready, in place of those that are. Throws Rejection.
  void load(const std::set<int>& blocks) {
    blocks_.clear();
    Bytes space;
    for (const int index : blocks) {
      auto block = model::make_block(engine_, index);
      for (model::Parameter& p : block->parameters()) {
        const TensorSpec spec{p.spec.name, log_.manifest().base.dtype, p.spec.shape};
        const ByteView bytes = source_.read_tensor(spec, space);
        if (!source_.tensors_compared()) compare(spec, bytes);
        p.value = widen(spec.dtype, bytes);
      }
      blocks_.emplace(index, std::move(block));
    }
  }

  void compare(const TensorSpec& spec, ByteView bytes) const {
    const Digest found = hash::blake3(bytes, engine_.pool), expected = log_.tensor_digest(spec.name);
    if (found != expected)
      throw Rejection(Code::kEvidence, served_tensor_dataset(spec.name), expected_found(expected, found));
  }

  /// Replays one answer; `asked` are those of its cells that are in question. The replay values by block.
  std::map<int, Digest> run(std::int64_t leaf, const std::set<int>& asked);

 private:
  struct Pass;
  std::string where(std::int64_t leaf, int block) const { return cat("cell ", block, ",", leaf - 1); }
  record::Exchange exchange(std::int64_t leaf, const record::RequestLeaf& committed);
  const Reading& reading() {
    if (!reading_) reading_.emplace(log_, source_);
    return *reading_;
  }
  void run_piece(Pass& pass, std::int64_t first, std::int64_t count);
  void draw(Pass& pass, const Matrix& x, std::int64_t first);
  void compare(Pass& pass);

  const ServingLog& log_;
  ServingSource& source_;
  model::EngineOptions engine_;
  const AnswerReplayOptions& options_;
  Findings& findings_;
  std::map<int, std::unique_ptr<model::LayerBlock>> blocks_;
  std::optional<Reading> reading_;
};

struct AnswerReplay::Pass {
  Pass(std::int64_t index, const std::set<int>& blocks, record::RequestLeaf answer)
      : leaf(index), asked(blocks), committed(std::move(answer)) {}

  std::int64_t leaf;
  const std::set<int>& asked;
  record::RequestLeaf committed;
  record::Exchange exchange;
  std::vector<std::int32_t> tokens;  // all but the answer's last
  std::vector<int> stages;
  std::map<int, model::KvCache> caches;
  std::map<int, hash::Blake3> given, computed;  // by boundary
  std::map<int, hash::Blake3> values;           // replay values, by block
  std::optional<Redraw> redraw;
};

record::Exchange AnswerReplay::exchange(std::int64_t leaf, const record::RequestLeaf& committed) {
  record::Exchange exchange = source_.exchange(leaf);
  const std::string from = source_.name_of(leaf, "exchange");
  const auto require = [&](record::Role role, const Digest& digest, const Digest& expected) {
    const Digest found = record::published(&source_.salts(), {leaf, role}, digest);
    if (found != expected)
      throw Rejection(Code::kEvidence, from, cat(record::name(role), ": ", expected_found(expected, found)));
  };
  require(record::Role::kRequest, request_digest(exchange), committed.request);
  require(record::Role::kPrompt, prompt_digest(exchange), committed.prompt);
  require(record::Role::kAnswer, answer_digest(exchange), committed.answer);
  // What was committed to must be something that can be run.
  const auto runs = [&](const std::vector<std::int32_t>& ids, std::int64_t count) {
    return std::ssize(ids) == count &&
           std::all_of(ids.begin(), ids.end(), [&](std::int32_t id) { return id < log_.config().vocab; });
  };
  if (!runs(exchange.prompt, committed.prompt_tokens))
    throw Rejection(Check::kPrompt, Code::kPrompt, from, "not the leaf's number of ids of the vocabulary");
  if (!runs(exchange.tokens, committed.answer_tokens))
    throw Rejection(Check::kSampling, Code::kSampling, from,
                    "not the leaf's number of ids of the vocabulary");
  return exchange;
}

std::map<int, Digest> AnswerReplay::run(std::int64_t leaf, const std::set<int>& asked) {
  Pass pass(leaf, asked, log_.answer(leaf));
  pass.exchange = exchange(leaf, pass.committed);
  pass.tokens = pass.exchange.prompt;
  pass.tokens.insert(pass.tokens.end(), pass.exchange.tokens.begin(), pass.exchange.tokens.end() - 1);
  const int last = log_.grid().stages() - 1, head = log_.grid().block_of_stage(last);
  for (int stage = 0; stage <= last; ++stage)
    if (blocks_.count(log_.grid().block_of_stage(stage)) != 0) pass.stages.push_back(stage);
  for (const int stage : pass.stages)
    if (stage > 0 && stage < last) {
      const record::UnitRange units = log_.grid().units_of_stage(stage);
      pass.caches.emplace(stage,
                          model::KvCache(log_.config(), units.last - units.first, std::ssize(pass.tokens)));
    }
  for (const int block : asked) pass.values.emplace(block, hash::Blake3::keyed(options_.key));
  if (asked.count(0) != 0 || asked.count(head) != 0) {
    generate::Ask ask = reading().ask(pass.exchange, where(leaf, asked.count(0) != 0 ? 0 : head));
    if (asked.count(0) != 0)
      Judge(findings_, true)
          .expect(ask.prompt == pass.exchange.prompt, Check::kPrompt, Code::kPrompt, where(leaf, 0), [&] {
            return cat("the request gives ", ask.prompt.size(), " other ids than the ",
                       pass.exchange.prompt.size(), " that were run");
          });
    ask.prompt = pass.exchange.prompt;
    if (asked.count(head) != 0) {
      try {
        pass.redraw.emplace(ask, reading(), log_.config().max_position, pass.exchange);
      } catch (const Error& e) {
        throw Rejection(Check::kPrompt, Code::kPrompt, where(leaf, head), e.what());
      }
    }
  }
  for (std::int64_t first = 0; first < std::ssize(pass.tokens); first += kPiece) {
    if (interrupted()) fail(Fault::kSystem, "interrupted");
    run_piece(pass, first, std::min(kPiece, std::ssize(pass.tokens) - first));
  }
  compare(pass);
  std::map<int, Digest> values;
  for (const auto& [block, value] : pass.values) values[block] = value.finish();
  return values;
}

void AnswerReplay::run_piece(Pass& pass, std::int64_t first, std::int64_t count) {
  data::Rows rows;
  rows.row_starts = rows.doc_starts = {0, count};
  for (std::int64_t i = first; i < first + count; ++i) {
    rows.positions.push_back(static_cast<std::int32_t>(i));
    rows.tokens.push_back(pass.tokens[static_cast<std::size_t>(i)]);
  }
  const int last = log_.grid().stages() - 1;
  Matrix x;
  int at = -1;  // the boundary that x is of
  for (const int stage : pass.stages) {
    if (stage > 0 && at != stage - 1) {
      x = Matrix(count, log_.config().hidden);
      source_.read_boundary(pass.leaf, stage - 1, std::ssize(pass.tokens), first, x);
      pass.given[stage - 1].update(x.bytes());
    }
    const int index = log_.grid().block_of_stage(stage);
    model::LayerBlock& block = *blocks_.at(index);
    if (stage == last) {
      if (pass.asked.count(index) != 0) draw(pass, x, first);
      continue;
    }
    std::vector<model::KvCache*> caches;
    if (stage > 0) caches.push_back(&pass.caches.at(stage));
    x = block.infer(stage, rows, stage == 0 ? nullptr : &x, caches);
    at = stage;
    pass.computed[stage].update(x.bytes());
    if (const auto value = pass.values.find(index); value != pass.values.end())
      value->second.update(x.bytes());
    if (options_.on_boundary) options_.on_boundary(pass.leaf, stage, first, x);
  }
}

// The logits after the prompt's last position and after each of the answer's but the last.
void AnswerReplay::draw(Pass& pass, const Matrix& x, std::int64_t first) {
  model::LayerBlock& block = *blocks_.at(log_.grid().block_of_stage(log_.grid().stages() - 1));
  const std::int64_t begin = std::max<std::int64_t>(0, std::ssize(pass.exchange.prompt) - 1 - first);
  for (std::int64_t i = begin; i < x.rows; i += kLogitRows) {
    Matrix some(std::min(kLogitRows, x.rows - i), x.cols);
    std::copy_n(x.row(i), some.values.size(), some.data());
    const Matrix logits = block.logits(some);
    pass.values.at(block.index()).update(logits.bytes());
    finite_or_reject(where(pass.leaf, block.index()), [&] {
      for (std::int64_t r = 0; r < logits.rows; ++r)
        pass.redraw->next({logits.row(r), static_cast<std::size_t>(logits.cols)});
    });
  }
}

// What was given first: nothing follows from a replay of something else than what was committed.
void AnswerReplay::compare(Pass& pass) {
  const auto published = [&](int boundary, const hash::Blake3& hasher) {
    return record::published(&source_.salts(), {pass.leaf, record::Role::kActivation, boundary},
                             hasher.finish());
  };
  const auto committed = [&](int boundary) {
    return pass.committed.activations[static_cast<std::size_t>(boundary)];
  };
  for (const auto& [boundary, hasher] : pass.given) {
    const Digest found = published(boundary, hasher);
    if (found != committed(boundary))
      throw Rejection(Code::kEvidence, source_.name_of(pass.leaf, cat("activations/", boundary)),
                      expected_found(committed(boundary), found));
  }
  for (const auto& [boundary, hasher] : pass.computed) {
    const int block = log_.grid().block_of_stage(boundary);
    const Digest found = published(boundary, hasher);
    Judge(findings_, pass.asked.count(block) != 0)
        .expect(found == committed(boundary), Check::kForward, Code::kForward,
                cat(where(pass.leaf, block), " activation ", boundary),
                [&, b = boundary] { return expected_found(found, committed(b)); });
  }
  if (pass.redraw) {
    const int head = log_.grid().block_of_stage(log_.grid().stages() - 1);
    pass.redraw->judge(Judge(findings_, true), where(pass.leaf, head));
  }
}

/// The cells that are replayed with the same blocks.
struct Batch {
  std::set<int> blocks;
  std::map<std::int64_t, std::set<int>> asked;  // by leaf
};

std::vector<Batch> batches_of(const ServingLog& log, const ServingSource& source,
                              const std::vector<Cell>& cells) {
  std::map<int, Batch> by_block;
  for (const Cell& cell : cells) {
    Batch& batch = by_block[source.holds_boundaries() ? cell.block : 0];
    batch.asked[ServingLog::leaf_of(cell.step_block)].insert(cell.block);
    if (source.holds_boundaries()) batch.blocks.insert(cell.block);
  }
  std::vector<Batch> batches;
  for (auto& [block, batch] : by_block) {
    if (!source.holds_boundaries())
      for (int b = 0; b < log.grid().blocks(); ++b) batch.blocks.insert(b);
    batches.push_back(std::move(batch));
  }
  return batches;
}

std::int64_t longest(const ServingLog& log, const Batch& batch) {
  std::int64_t positions = 0;
  for (const auto& [leaf, blocks] : batch.asked) {
    const record::RequestLeaf answer = log.answer(leaf);
    positions = std::max(positions, answer.prompt_tokens + answer.answer_tokens);
  }
  return positions;
}

}  // namespace

model::EngineOptions engine_of(const ServingLog& log, ThreadPool& pool) {
  record::Recipe recipe;
  recipe.optimizer = "sgd";  // no moments
  return {.config = log.config(),
          .grid = log.grid(),
          .recipe = recipe,
          .profile = profile_of(log.manifest().profile),
          .recompute = false,
          .pool = &pool};
}

std::uint64_t answer_replay_bytes(const ServingLog& log, const std::set<int>& blocks,
                                  std::int64_t positions) {
  const model::Config& config = log.config();
  std::uint64_t floats = 0;
  for (const int block : blocks) {
    for (const TensorSpec& spec : model::block_parameter_specs(config, log.grid(), {}, block))
      floats += 2 * static_cast<std::uint64_t>(element_count(spec.shape));  // and its packed copy
    for (const int stage : log.grid().stages_of_block(block)) {
      const record::UnitRange units = log.grid().units_of_stage(stage);
      // Throws where a hostile config would overflow.
      floats += static_cast<std::uint64_t>(
          element_count({2, units.last - units.first, positions, config.kv_heads, config.head_dim}));
    }
  }
  floats += static_cast<std::uint64_t>(kPiece * (6 * config.hidden + 3 * config.intermediate) +
                                       kLogitRows * config.vocab);
  return 4 * floats;
}

std::vector<CellVerdict> replay_answers(const ServingLog& log, ServingSource& source,
                                        const model::EngineOptions& engine, const std::vector<Cell>& cells,
                                        const AnswerReplayOptions& options, Findings& findings,
                                        Progress& progress) {
  std::map<Cell, CellVerdict> results;
  for (const Cell& cell : cells) results[cell] = {cell, CellResult::kUnanswered, std::nullopt};
  std::int64_t done = 0;
  const auto say = [&](const Rejection& rejection, std::int64_t leaf, const std::set<int>& asked) {
    report(rejection, findings);
    const bool rejected = class_of(rejection.reason.code) != ReasonClass::kAbsent;
    for (const int block : asked)
      results[{block, leaf - 1}].result = rejected ? CellResult::kRejected : CellResult::kUnanswered;
  };
  for (const Batch& batch : batches_of(log, source, cells)) {
    AnswerReplay replay(log, source, engine, options, findings);
    const std::uint64_t bytes = answer_replay_bytes(log, batch.blocks, longest(log, batch));
    std::optional<Rejection> unloaded;
    if (options.max_memory != 0 && bytes > options.max_memory) {
      unloaded.emplace(Code::kTooLarge, cat("cell ", *batch.blocks.begin()),
                       cat("takes ", bytes, " bytes, more than ", options.max_memory));
    } else {
      try {
        replay.load(batch.blocks);
      } catch (const Rejection& rejection) {
        unloaded = rejection;
      }
    }
    for (const auto& [leaf, asked] : batch.asked) {
      if (unloaded) {
        say(*unloaded, leaf, asked);
        continue;
      }
      try {
        for (const auto& [block, value] : replay.run(leaf, asked))
          results[{block, leaf - 1}] = {{block, leaf - 1}, CellResult::kChecked, value};
      } catch (const Rejection& rejection) {
        say(rejection, leaf, asked);
      }
      progress.update(done += std::ssize(asked));
    }
  }
  std::vector<CellVerdict> list;
  for (const Cell& cell : cells) list.push_back(results.at(cell));
  return list;
}

}  // namespace aftune::audit
