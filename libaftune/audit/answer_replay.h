#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "audit/challenge.h"
#include "audit/findings.h"
#include "audit/serving_log.h"
#include "audit/serving_source.h"
#include "base/progress.h"
#include "model/layer_block.h"

namespace aftune::audit {

/// What answers of this log are replayed with. Of a supported arithmetic.
model::EngineOptions engine_of(const ServingLog& log, ThreadPool& pool);

struct AnswerReplayOptions {
  std::uint64_t max_memory = 0;  ///< bytes; 0: no bound
  Digest key;                    ///< of the replay values
  /// Is shown what passes boundaries, in order of positions; rows [first, first + rows) of answer `leaf`.
  std::function<void(std::int64_t leaf, int boundary, std::int64_t first, const Matrix& x)> on_boundary =
      nullptr;
};

/// Replays cells of answers: prefill of prompt and answer in one pass, whatever cuts generation made, with
/// the one block where the boundary before it is at hand, else with all blocks. Checks `forward`; in the
/// first stage `prompt`, that prompt and settings are what the request gives; in the last `sampling`, that
/// from the logits follow the tokens and their end, and `text`. What became of each cell is in the order of
/// `cells`.
///
/// The tokenizer is the source's, after comparing its digest; without it `prompt`, `sampling` and `text` are
/// absent.
std::vector<CellVerdict> replay_answers(const ServingLog& log, ServingSource& source,
                                        const model::EngineOptions& engine, const std::vector<Cell>& cells,
                                        const AnswerReplayOptions& options, Findings& findings,
                                        Progress& progress);

/// Bytes that a replay with these blocks takes, from above: parameters and their packed copies, keys and
/// values of the longest answer, and the activations of one piece.
std::uint64_t answer_replay_bytes(const ServingLog& log, const std::set<int>& blocks, std::int64_t positions);

}  // namespace aftune::audit
