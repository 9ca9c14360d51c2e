#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "record/grid.h"

namespace aftune::audit {

struct Cell {
  int block = 0;
  std::int64_t step_block = 0;
  friend bool operator==(const Cell&, const Cell&) = default;
  friend auto operator<=>(const Cell& a, const Cell& b) = default;
};

/// How many cells of each stratum to draw. `all` overrides the rest.
struct Plan {
  bool all = false;
  std::int64_t uniform = 0;
  std::int64_t inputs = 0;     ///< from block 0's column
  std::int64_t objective = 0;  ///< from the last stage's column
  std::int64_t ends = 0;       ///< from each of the first and the last row
  friend bool operator==(const Plan&, const Plan&) = default;
};
Json to_json(const Plan& plan);
Plan plan_from_json(const Json& json);  ///< Error{kEvidence}

/// A seed's public source: one round of a randomness beacon.
struct Beacon {
  std::int64_t round = 0;
  std::string value;  ///< the round's random bytes, 16 to 128 of them, as hex digits
  friend bool operator==(const Beacon&, const Beacon&) = default;
};
/// BLAKE3 derive_key("aftune/beacon/1") of the value's bytes.
std::array<std::uint8_t, 32> beacon_seed(const Beacon& beacon);

/// A challenge does not say what it draws: opener and verifier each derive the cells.
struct Challenge {
  std::string note;  ///< the checkpoint's note, verbatim
  std::array<std::uint8_t, 32> seed{};
  std::string seed_kind = "given";  ///< fresh | committed | beacon | given
  Plan plan;
  /// Cells besides those drawn, sorted, without repeats: what an earlier challenge of the run left
  /// unanswered.
  std::vector<Cell> must = {};
  std::optional<Beacon> beacon = std::nullopt;  ///< with seed_kind "beacon"
  /// Of a serving period: the leaves of the answers that cells are drawn from, sorted, without repeats, as a
  /// client knows them by its receipts. Empty: all answers of the log.
  std::vector<std::int64_t> answers = {};
};
/// True if `kind` is one of the four.
bool is_seed_kind(std::string_view kind);
/// [[block, step block], ...]
Json cells_json(const std::vector<Cell>& cells);
std::vector<Cell> cells_from_json(const Json& list);  ///< of an array. Error{kEvidence}
std::string to_text(const Challenge& challenge);      ///< canonical JSON and LF (schemas/challenge.json)
Challenge parse_challenge(std::string_view text);     ///< refuses an all-zero seed. Error{kEvidence}

/// The cells that are drawn and those of `must`, sorted, without repeats. Draw key = BLAKE3
/// derive_key("aftune/draw/1") over the length-prefixed note text, seed and canonical plan; each stratum
/// draws without replacement by an unbiased rejection from its XOF (docs/audit.md, "Draw"). Throws
/// Error{kEvidence} if the note cannot be parsed, Error{kUsage} if the grid has no cell that `must` or
/// `answers` names.
std::vector<Cell> draw_cells(const Challenge& challenge, const record::Grid& grid);
/// What the cells are drawn from: the grid, cut to the answers that the challenge names.
record::Grid population_of(const Challenge& challenge, const record::Grid& grid);

/// P(at least one of `sampled` is bad) when `bad` of `total` are, sampled without replacement; exact
/// hypergeometric.
double detection_probability(std::int64_t total, std::int64_t bad, std::int64_t sampled);
/// Smallest sample with that probability at least `confidence`; total if none smaller.
std::int64_t sample_size(std::int64_t total, std::int64_t bad, double confidence);

}  // namespace aftune::audit
