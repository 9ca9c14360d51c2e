#include "audit/challenge.h"

#include <algorithm>
#include <functional>
#include <limits>

#include "base/error.h"
#include "hash/blake3.h"
#include "seal/note.h"

namespace aftune::audit {
namespace {

constexpr std::string_view kType = "aftune-challenge/1";
constexpr std::size_t kMaxMust = std::size_t{1} << 14;
constexpr std::size_t kMaxChallengeBytes = std::size_t{1} << 20;
constexpr std::string_view kBeaconContext = "aftune/beacon/1";
constexpr std::string_view kSeedKinds[] = {"fresh", "committed", "beacon", "given"};

std::array<std::uint8_t, 32> parse_seed(const Digest& digest) {
  const bool zero =
      std::all_of(digest.bytes.begin(), digest.bytes.end(), [](std::uint8_t b) { return b == 0; });
  if (zero) fail(Fault::kEvidence, "challenge: \"seed\" is all zeros, which no one drew");
  return digest.bytes;
}

std::string parse_seed_kind(const std::string& kind) {
  if (!is_seed_kind(kind))
    fail(Fault::kEvidence, "challenge: \"seed_kind\" is \"", kind,
         "\", not fresh, committed, beacon or given");
  return kind;
}

Beacon parse_beacon(const Json& json) {
  Fields fields(json, "beacon");
  Beacon beacon;
  beacon.round = fields.integer("round", 0);
  beacon.value = fields.text("value", 256);
  const Bytes bytes = within("beacon: \"value\"", [&] { return from_hex(beacon.value); });
  if (bytes.size() < 16)
    fail(Fault::kEvidence, "beacon: \"value\" has ", bytes.size(), " bytes, fewer than 16");
  if (std::all_of(bytes.begin(), bytes.end(), [](std::byte b) { return b == std::byte{0}; }))
    fail(Fault::kEvidence, "beacon: \"value\" is all zeros, which no beacon drew");
  fields.done();
  return beacon;
}

Cell parse_cell(const Json& json) {
  const auto is_count = [](const Json& n, std::int64_t most) {
    return n.is_number_integer() && n >= 0 && n <= most;
  };
  const bool pair = json.is_array() && json.size() == 2 &&
                    is_count(json[0], std::numeric_limits<int>::max()) && is_count(json[1], kMaxJsonInteger);
  if (!pair) fail(Fault::kEvidence, "not a pair of layer block and step block");
  return {json[0].get<int>(), json[1].get<std::int64_t>()};
}

std::vector<Cell> parse_must(const Json& list) {
  if (list.size() > kMaxMust)
    fail(Fault::kEvidence, "challenge: \"must\" has ", list.size(), " cells, more than ", kMaxMust);
  std::vector<Cell> cells = within("challenge: \"must\"", [&] { return cells_from_json(list); });
  if (std::adjacent_find(cells.begin(), cells.end(), std::greater_equal<>()) != cells.end())
    fail(Fault::kEvidence, "challenge: \"must\" is not sorted, or names a cell twice");
  return cells;
}

// A challenge without any does not mention them: there is one text for one challenge.
std::vector<std::int64_t> parse_answers(const Json& list) {
  const auto wrong = [](std::string_view why) { fail(Fault::kEvidence, "challenge: \"answers\" ", why); };
  if (list.empty() || list.size() > kMaxMust) wrong("has no entry, or too many");
  std::vector<std::int64_t> answers;
  for (const Json& item : list) {
    if (!item.is_number_integer() || item < 1 || item > kMaxJsonInteger) wrong("has one that is no leaf");
    answers.push_back(item.get<std::int64_t>());
  }
  if (std::adjacent_find(answers.begin(), answers.end(), std::greater_equal<>()) != answers.end())
    wrong("is not sorted, or names a leaf twice");
  return answers;
}

}  // namespace

bool is_seed_kind(std::string_view kind) {
  return std::find(std::begin(kSeedKinds), std::end(kSeedKinds), kind) != std::end(kSeedKinds);
}

std::array<std::uint8_t, 32> beacon_seed(const Beacon& beacon) {
  return hash::blake3_derive_key(kBeaconContext, from_hex(beacon.value)).bytes;
}

Json cells_json(const std::vector<Cell>& cells) {
  Json list = Json::array();
  for (const Cell& cell : cells) list.push_back({cell.block, cell.step_block});
  return list;
}

std::vector<Cell> cells_from_json(const Json& list) {
  std::vector<Cell> cells;
  for (const Json& item : list) cells.push_back(parse_cell(item));
  return cells;
}

Json to_json(const Plan& plan) {
  return {{"all", plan.all},
          {"uniform", plan.uniform},
          {"inputs", plan.inputs},
          {"objective", plan.objective},
          {"ends", plan.ends}};
}

Plan plan_from_json(const Json& json) {
  Fields fields(json, "plan");
  Plan plan;
  plan.all = fields.boolean("all");
  plan.uniform = fields.integer("uniform", 0);
  plan.inputs = fields.integer("inputs", 0);
  plan.objective = fields.integer("objective", 0);
  plan.ends = fields.integer("ends", 0);
  fields.done();
  if (!plan.all && plan.uniform == 0 && plan.inputs == 0 && plan.objective == 0 && plan.ends == 0)
    fail(Fault::kEvidence, "plan: draws no cell");
  return plan;
}

std::string to_text(const Challenge& challenge) {
  Digest seed;
  seed.bytes = challenge.seed;
  Json json = {{"type", kType},
               {"note", challenge.note},
               {"seed", to_hex(seed)},
               {"seed_kind", challenge.seed_kind},
               {"plan", to_json(challenge.plan)},
               {"must", cells_json(challenge.must)}};
  if (!challenge.answers.empty()) json["answers"] = challenge.answers;
  if (challenge.beacon)
    json["beacon"] = {{"round", challenge.beacon->round}, {"value", challenge.beacon->value}};
  return canonical_json(json) + '\n';
}

Challenge parse_challenge(std::string_view text) {
  if (text.ends_with('\n')) text.remove_suffix(1);
  const Json json = parse_json(text, {.max_bytes = kMaxChallengeBytes, .max_depth = 4});
  Fields fields(json, "challenge");
  if (const std::string type = fields.text("type", 64); type != kType)
    fail(Fault::kEvidence, "challenge: \"type\" is \"", type, "\", not \"", kType, '"');
  Challenge challenge;
  challenge.note = fields.text("note", seal::kMaxNoteBytes);
  challenge.seed = parse_seed(fields.digest("seed"));
  challenge.seed_kind = parse_seed_kind(fields.text("seed_kind", 16));
  challenge.plan = plan_from_json(fields.object("plan"));
  challenge.must = parse_must(fields.array("must"));
  if (fields.has("answers")) challenge.answers = parse_answers(fields.array("answers"));
  if (challenge.seed_kind == "beacon") challenge.beacon = parse_beacon(fields.object("beacon"));
  fields.done();
  return challenge;
}

}  // namespace aftune::audit
