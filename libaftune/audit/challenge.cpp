#include "audit/challenge.h"

#include <algorithm>

#include "base/error.h"

namespace aftune::audit {
namespace {

constexpr std::string_view kType = "aftune-challenge/1";
constexpr std::size_t kMaxNoteBytes = std::size_t{64} << 10;
constexpr std::string_view kSeedKinds[] = {"fresh", "committed", "beacon", "given"};

std::array<std::uint8_t, 32> parse_seed(const Digest& digest) {
  const bool zero =
      std::all_of(digest.bytes.begin(), digest.bytes.end(), [](std::uint8_t b) { return b == 0; });
  if (zero) fail(Fault::kEvidence, "challenge: \"seed\" is all zeros, which no one drew");
  return digest.bytes;
}

std::string parse_seed_kind(const std::string& kind) {
  if (std::find(std::begin(kSeedKinds), std::end(kSeedKinds), kind) == std::end(kSeedKinds))
    fail(Fault::kEvidence, "challenge: \"seed_kind\" is \"", kind,
         "\", not fresh, committed, beacon or given");
  return kind;
}

}  // namespace

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
  const Json json = {{"type", kType},
                     {"note", challenge.note},
                     {"seed", to_hex(seed)},
                     {"seed_kind", challenge.seed_kind},
                     {"plan", to_json(challenge.plan)}};
  return canonical_json(json) + '\n';
}

Challenge parse_challenge(std::string_view text) {
  if (text.ends_with('\n')) text.remove_suffix(1);
  const Json json = parse_json(text, {.max_bytes = 2 * kMaxNoteBytes, .max_depth = 4});
  Fields fields(json, "challenge");
  if (const std::string type = fields.text("type", 64); type != kType)
    fail(Fault::kEvidence, "challenge: \"type\" is \"", type, "\", not \"", kType, '"');
  Challenge challenge;
  challenge.note = fields.text("note", kMaxNoteBytes);
  challenge.seed = parse_seed(fields.digest("seed"));
  challenge.seed_kind = parse_seed_kind(fields.text("seed_kind", 16));
  challenge.plan = plan_from_json(fields.object("plan"));
  fields.done();
  return challenge;
}

}  // namespace aftune::audit
