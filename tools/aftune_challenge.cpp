// Plans a sample of cells and writes the challenge.

#include <algorithm>
#include <initializer_list>
#include <optional>
#include <set>

#include "audit/cost.h"
#include "audit/former_verdict.h"
#include "audit/planning.h"
#include "audit/policy.h"
#include "audit/receipt_check.h"
#include "audit/sealed_log.h"
#include "audit/seed_check.h"
#include "base/error.h"
#include "base/random.h"
#include "cli/cli.h"
#include "seal/keys.h"
#include "seal/note.h"
#include "trace/layout.h"
#include "trace/log.h"

namespace aftune {
namespace {

constexpr std::uint64_t kMaxNote = std::uint64_t{1} << 16;
constexpr std::uint64_t kMaxPolicy = std::uint64_t{1} << 20;
constexpr std::uint64_t kMaxVerdict = std::uint64_t{64} << 20;
constexpr std::uint64_t kMaxLog = std::uint64_t{1} << 36;

struct Args {
  fs::path checkpoint, pubkey, trace, manifest, proof, after, policy;
  fs::path out = "-";
  std::vector<fs::path> receipts;
  std::string seed, committed_seed, beacon_value;
  std::int64_t beacon_round = -1;
  bool fresh = false, plan_only = false, json = false, all = false, whole_run = false;
  double confidence = 0, tampered = 0, skipped_steps = 0, poisoned_rows = 0;
  std::int64_t cells = 0, bad_cells = 0, changed_layers = 0;
  std::int64_t inputs = -1, objective = -1, ends = 0;  // -1: not given
};

constexpr std::int64_t kMost = std::int64_t{1} << 40;

void seed_flags(CLI::App& app, Args& args) {
  cli::challenge_seed(app, args.seed);
  cli::toggle(app, "--fresh", args.fresh, "draw the seed now, from the system's random numbers");
  cli::hex(app, "--committed-seed", args.committed_seed, 32,
           "the seed whose digest the policy carries, 32 bytes");
  cli::hex(app, "--beacon-value", args.beacon_value, 0,
           "random bytes of a public beacon's round; the seed follows");
  cli::integer(app, "--beacon-round", args.beacon_round, "the beacon's round, which the policy names", 0,
               kMaxJsonInteger);
}

void attacker_flags(CLI::App& app, Args& args) {
  cli::integer(app, "--bad-cells", args.bad_cells, "attacker: this many cells are bad", 1, kMost);
  cli::real(app, "--tampered", args.tampered,
            "attacker: at least this part of the cells is bad; 0 is one cell", 0, 1);
  cli::real(app, "--skipped-steps", args.skipped_steps, "attacker: this part of the steps was not made",
            1e-12, 1);
  cli::real(app, "--poisoned-rows", args.poisoned_rows,
            "attacker: this part of the step blocks took other rows", 1e-12, 1);
  cli::integer(app, "--changed-layers", args.changed_layers, "attacker: this many layers are others", 1,
               kMost);
  cli::toggle(app, "--whole-run", args.whole_run, "attacker: every cell is bad");
}

void plan_flags(CLI::App& app, Args& args) {
  cli::real(app, "--confidence", args.confidence,
            "draw enough cells to find the attacker with this probability", 1e-9, 1 - 1e-12);
  attacker_flags(app, args);
  cli::integer(app, "--cells", args.cells, "draw this many cells uniformly", 1, kMost);
  cli::integer(app, "--inputs", args.inputs, "draw cells of the first stage besides (data)", 0, kMost);
  cli::integer(app, "--objective", args.objective, "draw cells of the last stage besides (loss)", 0, kMost);
  cli::integer(app, "--ends", args.ends, "draw cells of the first and of the last step block besides", 0,
               kMost);
  cli::toggle(app, "--all", args.all, "every cell");
  cli::policy(app, args.policy);
  cli::paths(app, "--receipt", "FILES", args.receipts,
             "receipts, or answers with theirs, of a serving period: draw cells of these answers");
  cli::path(app, "--after", "FILE", args.after, "a former verdict: ask for its unanswered cells besides");
}

void flags(CLI::App& app, Args& args) {
  cli::checkpoint(app, args.checkpoint);
  cli::pubkey(app, args.pubkey);
  cli::out(app, args.out, "FILE", "challenge file to write, - for stdout [-]");
  seed_flags(app, args);
  plan_flags(app, args);
  cli::trace(app, args.trace);
  cli::path(app, "--manifest", "FILE", args.manifest, "the log's first line, to print cells and odds");
  cli::path(app, "--proof", "FILE", args.proof, "its proof, manifest.tlog-proof");
  cli::toggle(app, "--plan", args.plan_only, "only print the statistics; no seed is needed");
  cli::json(app, args.json);
}

int given(std::initializer_list<bool> flags) {
  return static_cast<int>(std::count(flags.begin(), flags.end(), true));
}

void require_one_seed(const Args& args) {
  const bool beacon = !args.beacon_value.empty();
  const int seeds = given({!args.seed.empty(), args.fresh, !args.committed_seed.empty(), beacon});
  if (args.plan_only && seeds != 0) fail(Fault::kUsage, "--plan takes no seed");
  if (!args.plan_only && seeds != 1)
    fail(Fault::kUsage, "give one of --challenge-seed, --fresh, --committed-seed and --beacon-value");
  if (beacon != (args.beacon_round >= 0))
    fail(Fault::kUsage, "--beacon-value and --beacon-round go together");
}

int attackers(const Args& args) {
  return given({args.bad_cells > 0, args.tampered > 0, args.skipped_steps > 0, args.poisoned_rows > 0,
                args.changed_layers > 0, args.whole_run});
}

void require_consistent(const Args& args) {
  const auto wrong = [](const auto&... parts) { fail(Fault::kUsage, parts...); };
  if (args.checkpoint.empty()) wrong("--checkpoint is required");
  if (args.pubkey.empty()) wrong("--pubkey is required");
  require_one_seed(args);
  const int sizes = given({args.all, args.cells > 0, args.confidence > 0});
  if (sizes > 1) wrong("give one of --all, --cells and --confidence");
  if (sizes == 0 && args.policy.empty() && args.inputs <= 0 && args.objective <= 0 && args.ends <= 0)
    wrong("no cells asked for: give --confidence, --cells or --all");
  if (attackers(args) > 1) wrong("give one attacker");
  if (!args.trace.empty() && !args.manifest.empty()) wrong("give one of --trace and --manifest");
  if (args.manifest.empty() != args.proof.empty()) wrong("--manifest and --proof go together");
  if (args.json && args.out == "-" && !args.plan_only)
    wrong("--json needs --out FILE: the challenge goes to stdout");
  if (args.plan_only && args.trace.empty() && args.manifest.empty())
    wrong("--plan needs --trace or --manifest");
}

std::optional<audit::Policy> policy_of(const Args& args) {
  if (args.policy.empty()) return std::nullopt;
  const std::string text = cli::read_input(args.policy, kMaxPolicy);
  return within(args.policy.native(), [&] { return audit::parse_policy(text); });
}

// The policy's, unless another is asked about.
audit::Attacker attacker_of(const Args& args, const std::optional<audit::Policy>& policy) {
  using Kind = audit::Attacker::Kind;
  if (policy && policy->plan && attackers(args) == 0) return policy->plan->attacker;
  if (args.tampered > 0) return {.kind = Kind::kTampered, .fraction = args.tampered};
  if (args.skipped_steps > 0) return {.kind = Kind::kSkippedSteps, .fraction = args.skipped_steps};
  if (args.poisoned_rows > 0) return {.kind = Kind::kPoisonedRows, .fraction = args.poisoned_rows};
  if (args.changed_layers > 0) return {.kind = Kind::kChangedLayers, .count = args.changed_layers};
  if (args.whole_run) return {.kind = Kind::kWholeRun};
  return {.kind = Kind::kBadCells, .count = std::max<std::int64_t>(1, args.bad_cells)};
}

std::string first_line(const fs::path& path) {
  const std::string text = read_file(path, kMaxLog);
  return text.substr(0, text.find('\n'));
}

/// What is known of the log: its grid, and of a training run its manifest.
struct Run {
  std::optional<record::Grid> grid;
  std::optional<record::Manifest> manifest;
};

bool is_serving_log(const fs::path& log) {
  const auto line = trace::first_line(log);
  return line && record::kind_of_leaf(*line) == "serving-manifest";
}

/// From the trace or a proved manifest, if one was given.
Run run_of(const Args& args, const std::string& note) {
  if (!args.trace.empty()) {
    const trace::Layout layout{args.trace};
    return within(layout.log().native(), [&]() -> Run {
      if (is_serving_log(layout.log())) return {audit::sealed_serving_log(note, layout).grid(), std::nullopt};
      const record::Manifest manifest = audit::sealed_manifest(note, trace::Log::read(layout.log()));
      return {manifest.grid, manifest};
    });
  }
  if (args.manifest.empty()) return {};
  const std::string leaf = first_line(args.manifest);
  const std::string proof = read_file(args.proof, 2 * kMaxNote);
  const auto manifest =
      within(args.manifest.native(), [&] { return audit::proved_manifest(note, leaf, proof); });
  return {manifest.grid, manifest};
}

/// The leaves of the answers that the client holds receipts of.
std::vector<std::int64_t> answers_of(const Args& args, const std::string& note) {
  const std::string origin = seal::Checkpoint::parse(seal::Note::parse(note).text).origin;
  const auto key = seal::PublicKey::read(args.pubkey);
  std::set<std::int64_t> leaves;
  for (const fs::path& file : args.receipts)
    for (const audit::HeldReceipt& held :
         audit::read_receipts(file.native(), cli::read_input(file, audit::kMaxReceiptBytes))) {
      if (!held.signed_receipt.verify(key))
        fail(Fault::kUsage, held.where, ": is not signed by ", key.vkey());
      const seal::Receipt& receipt = held.signed_receipt.receipt;
      if (receipt.origin != origin)
        fail(Fault::kUsage, held.where, ": is of ", receipt.origin, ", not of ", origin);
      leaves.insert(static_cast<std::int64_t>(receipt.index));
    }
  return {leaves.begin(), leaves.end()};
}

std::array<std::uint8_t, 32> fresh_seed() {
  std::array<std::uint8_t, 32> seed;
  random_bytes(std::as_writable_bytes(std::span(seed)));
  return seed;
}

void set_seed(audit::Challenge& challenge, const Args& args) {
  if (args.fresh) {
    challenge.seed_kind = "fresh";
    challenge.seed = fresh_seed();
  } else if (!args.committed_seed.empty()) {
    challenge.seed_kind = "committed";
    challenge.seed = digest_from_hex(args.committed_seed).bytes;
  } else if (!args.beacon_value.empty()) {
    challenge.seed_kind = "beacon";
    challenge.beacon = audit::Beacon{args.beacon_round, args.beacon_value};
    challenge.seed = audit::beacon_seed(*challenge.beacon);
  } else {
    challenge.seed = digest_from_hex(args.seed).bytes;
  }
}

/// The plan as the flags have it; where they name no size, the policy's.
audit::Plan plan_of(const Args& args, const std::optional<audit::Policy>& policy,
                    const audit::Attacker& attacker, const std::optional<record::Grid>& grid) {
  const auto chosen = [](std::int64_t n) { return n < 0 ? std::nullopt : std::optional(n); };
  const audit::Strata strata{chosen(args.inputs), chosen(args.objective), args.ends};
  if (args.confidence > 0) return audit::plan_for(args.confidence, attacker, strata, grid);
  audit::Plan plan{.all = args.all,
                   .uniform = args.cells,
                   .inputs = strata.inputs.value_or(0),
                   .objective = strata.objective.value_or(0),
                   .ends = args.ends};
  if (plan.all || plan.uniform > 0 || !policy) return plan;
  if (!policy->plan) {
    if (plan.inputs + plan.objective + plan.ends == 0)
      fail(Fault::kUsage, "no cells asked for: the policy has no plan; give --confidence, --cells or --all");
    return plan;
  }
  plan = audit::plan_for(policy->plan->confidence, policy->plan->attacker, strata, grid);
  const audit::Plan& least = policy->plan->least;
  plan.inputs = std::max(plan.inputs, least.inputs);
  plan.objective = std::max(plan.objective, least.objective);
  plan.ends = std::max(plan.ends, least.ends);
  return plan;
}

// A verdict over a seed that the policy does not have would be INCOMPLETE.
void require_agreed_seed(const audit::Challenge& challenge, const Args& args, const audit::Policy& policy) {
  audit::Verdict verdict;
  audit::Findings findings(verdict);
  audit::check_seed(challenge, &policy, findings);
  if (!verdict.reasons.empty())
    fail(Fault::kUsage, args.policy.native(), ": seed: ", verdict.reasons.front().detail);
}

std::vector<audit::Cell> left_unanswered(const Args& args, const std::string& note) {
  if (args.after.empty()) return {};
  const std::string origin = seal::Checkpoint::parse(seal::Note::parse(note).text).origin;
  const std::string verdict = cli::read_input(args.after, kMaxVerdict);
  return within(args.after.native(), [&] { return audit::unanswered_in(verdict, origin); });
}

/// What is said about a plan, once the run is known.
struct Outlook {
  record::Grid grid;  ///< that cells are drawn from
  audit::Odds odds;
  std::optional<audit::Cost> cost;  ///< of a training run
};

Json to_json(const audit::Odds& odds, const audit::Attacker& attacker) {
  return {{"cells", odds.total},
          {"attacker", audit::to_json(attacker)},
          {"bad", odds.bad},
          {"uniform", odds.uniform},
          {"detection", odds.detection},
          {"one_cell", odds.one_cell},
          {"one_column", odds.one_column},
          {"inputs_column", odds.inputs_column},
          {"objective_column", odds.objective_column}};
}

Json to_json(const audit::Cost& cost) {
  return {
      {"cells", cost.cells}, {"flop", cost.flop}, {"bytes", cost.bytes}, {"state_bytes", cost.state_bytes}};
}

std::string row(std::string_view left, const auto&... right) {
  std::string text(left);
  text.resize(std::max<std::size_t>(text.size() + 1, 12), ' ');
  return cat(text, right..., '\n');
}

std::string describe(const audit::Plan& plan) {
  std::string text = plan.all ? "every cell" : cat(plan.uniform, " cells uniformly");
  if (plan.inputs > 0) text += cat(", ", plan.inputs, " of the first stage");
  if (plan.objective > 0) text += cat(", ", plan.objective, " of the last stage");
  if (plan.ends > 0) text += cat(", ", plan.ends, " of the first and of the last step block each");
  return text;
}

std::string describe(const audit::Cost& cost, bool drawn) {
  return row("cost", drawn ? "" : "on average ", cost.cells, " cells: at most ", cost.flop, " FLOP, ",
             cost.bytes, " bytes of evidence, of which state ", cost.state_bytes);
}

std::string describe(const Outlook& outlook, bool drawn) {
  const audit::Odds& odds = outlook.odds;
  return row("run", odds.total, " cells: ", outlook.grid.blocks(), " layer blocks, ",
             outlook.grid.step_blocks(), outlook.cost ? " step blocks" : " answers") +
         row("P(detect)", odds.detection, " if ", odds.attacker) +
         row("", odds.one_cell, " if one cell is bad") +
         row("", odds.one_column, " if one layer block is bad throughout") +
         row("", odds.inputs_column, " if the first stage is (data)") +
         row("", odds.objective_column, " if the last stage is (objective)") +
         (outlook.cost ? describe(*outlook.cost, drawn) : "");
}

/// False, with the reason on stderr, if the note is not signed by the key.
bool is_signed(const std::string& note, const Args& args) {
  const auto key = seal::PublicKey::read(args.pubkey);
  const auto checked =
      within(args.checkpoint.native(), [&] { return seal::check_note(seal::Note::parse(note), key); });
  if (checked == seal::NoteCheck::kValid) return true;
  cli::complain(cat(args.checkpoint.native(), ": ",
                    checked == seal::NoteCheck::kNoSignature ? "not signed by " : "bad signature by ",
                    key.vkey()));
  return false;
}

/// A challenge, or with --plan the plan of one, and what is known of the run.
struct Planned {
  audit::Challenge challenge;
  audit::Attacker attacker;
  Run run;
  std::vector<audit::Cell> drawn;  ///< empty where cells are not known
};

Planned plan(const Args& args, const std::string& note) {
  Planned planned;
  planned.run = run_of(args, note);
  const auto policy = policy_of(args);
  planned.attacker = attacker_of(args, policy);
  audit::Challenge& challenge = planned.challenge;
  challenge.note = note;
  challenge.answers = answers_of(args, note);
  const auto& whole = planned.run.grid;
  const auto grid = whole ? std::optional(audit::population_of(challenge, *whole)) : std::nullopt;
  challenge.plan = plan_of(args, policy, planned.attacker, grid);
  challenge.must = left_unanswered(args, note);
  if (args.plan_only) return planned;
  set_seed(challenge, args);
  if (policy) require_agreed_seed(challenge, args, *policy);
  audit::parse_challenge(audit::to_text(challenge));  // refuses what no verifier would take
  if (whole) planned.drawn = audit::draw_cells(challenge, *whole);
  return planned;
}

std::optional<Outlook> outlook_of(const Args& args, const Planned& planned) {
  if (!planned.run.grid) return std::nullopt;
  const audit::Plan& plan = planned.challenge.plan;
  const record::Grid grid = audit::population_of(planned.challenge, *planned.run.grid);
  Outlook outlook{grid, audit::odds_of(plan, grid, planned.attacker), std::nullopt};
  if (planned.run.manifest) {
    const audit::CostModel cost(*planned.run.manifest);
    outlook.cost = args.plan_only ? cost.expected(plan) : cost.of(planned.drawn);
  }
  return outlook;
}

Json summary_of(const Args& args, const Planned& planned, const std::optional<Outlook>& outlook) {
  const audit::Challenge& challenge = planned.challenge;
  Json summary = {{"plan", audit::to_json(challenge.plan)},
                  {"must", audit::cells_json(challenge.must)},
                  {"odds", outlook ? to_json(outlook->odds, planned.attacker) : Json()},
                  {"cost", outlook && outlook->cost ? to_json(*outlook->cost) : Json()}};
  if (args.plan_only) return summary;
  summary["seed"] = to_hex(Digest{challenge.seed});
  summary["drawn"] = outlook ? audit::cells_json(planned.drawn) : Json();
  return summary;
}

std::string text_of(const Args& args, const Planned& planned, const std::optional<Outlook>& outlook) {
  const audit::Challenge& challenge = planned.challenge;
  std::string text = row("plan", describe(challenge.plan));
  if (!challenge.must.empty()) text += row("", "and ", challenge.must.size(), " that were left unanswered");
  if (outlook) text += describe(*outlook, !args.plan_only);
  if (args.plan_only) return text;
  text += row("seed", challenge.seed_kind, ' ', to_hex(Digest{challenge.seed}));
  if (outlook) text += row("drawn", "(block, step block) ", audit::cells_json(planned.drawn).dump());
  return text;
}

cli::Exit challenge(const Args& args) {
  require_consistent(args);
  const std::string note = cli::read_input(args.checkpoint, kMaxNote);
  if (!is_signed(note, args)) return cli::Exit::kReject;
  const Planned planned = plan(args, note);
  const auto outlook = outlook_of(args, planned);
  if (!args.plan_only) cli::write_output(args.out, audit::to_text(planned.challenge));
  if (!args.plan_only && args.out == "-") return cli::Exit::kDone;
  if (args.json)
    cli::print_json(summary_of(args, planned, outlook));
  else
    cli::print(text_of(args, planned, outlook));
  return cli::Exit::kDone;
}

}  // namespace
}  // namespace aftune

int main(int argc, char** argv) {
  return aftune::cli::run<aftune::Args>("aftune-challenge",
                                        "Plans a sample of cells and writes the challenge.", aftune::flags,
                                        aftune::challenge, argc, argv);
}
