// Checks a sealed trace, or evidence of it, by replaying sampled cells exactly.

#include "audit/verify.h"

#include <set>
#include <sstream>

#include "audit/bisect.h"
#include "audit/op_proof.h"
#include "audit/receipt_check.h"
#include "base/error.h"
#include "cli/cli.h"
#include "device/device.h"
#include "report/attestation.h"
#include "report/junit.h"

namespace aftune {
namespace {

constexpr std::uint64_t kMaxText = std::uint64_t{1} << 20;

struct Args {
  fs::path trace, evidence, log, pubkey, checkpoint, challenge, policy, data, model, adapter, exported;
  fs::path junit, attestation, key, since, consistency, known, bisect, proof_out, proof;
  std::vector<fs::path> merge, receipts, requests, witnesses;
  fs::path lineage, bounds;
  std::string seed, cells, device = "cpu";
  bool all = false, json = false, quiet = false;
  double tampered = 0;
  int threads = 0, jobs = 1;
  std::uint64_t max_memory = 0;
};

void flags(CLI::App& app, Args& args) {
  cli::trace(app, args.trace);
  cli::path(app, "--evidence", "FILE", args.evidence, "evidence file (aftune-open), instead of a trace");
  cli::path(app, "--log", "FILE", args.log,
            "with evidence: the whole log, so that none of it stays unopened");
  cli::path(app, "--bisect", "FILE", args.bisect,
            "with evidence: op list (aftune-open --ops) to find the first wrong operation of");
  cli::path(app, "--proof-out", "FILE", args.proof_out,
            "with --bisect: the proof file to write if there is one");
  cli::path(app, "--proof", "FILE", args.proof, "proof file to check, instead of all else but the key");
  cli::pubkey(app, args.pubkey).required();
  cli::checkpoint(app, args.checkpoint);
  cli::challenge(app, args.challenge);
  cli::challenge_seed(app, args.seed);
  cli::text(app, "--cells", "CELLS", args.cells,
            "with a seed: how many cells to draw; with a challenge: which of its cells, from 0: 2,5-7 or a "
            "share, 3/8");
  cli::toggle(app, "--all", args.all, "replay every cell");
  cli::paths(app, "--merge", "FILES", args.merge,
             "verdicts (--json) over some of the challenge's cells each, to be made one");
  cli::policy(app, args.policy);
  cli::data(app, args.data);
  cli::model(app, args.model);
  cli::path(app, "--adapter", "DIR", args.adapter, "the adapters that the run was to go on from");
  cli::path(app, "--export", "DIR", args.exported, "the shipped model, compared with the last state");
  cli::since(app, args.since);
  cli::consistency(app, args.consistency);
  cli::known(app, args.known);
  cli::paths(app, "--receipt", "FILES", args.receipts,
             "receipts, or answers with theirs, of a serving period; cells are then of these answers");
  cli::paths(app, "--requests", "FILES", args.requests,
             "with --receipt: the rows or bodies that the client sent; a receipt for another one is refused");
  cli::paths(app, "--witness", "FILES", args.witnesses,
             "with --receipt: vkeys of witnesses whose time says when the checkpoint was there");
  cli::path(app, "--lineage", "FILE", args.lineage,
            "proof of the training run that the served model is of (aftune-inspect --lineage)");
  cli::path(app, "--bounds", "FILE", args.bounds,
            "of a native run: what its products may differ by elsewhere (aftune-inspect --calibrate)");
  cli::real(app, "--tampered", args.tampered,
            "attacker: at least this part of the cells is bad; 0 is one cell", 0, 1);
  cli::size(app, "--max-memory", args.max_memory, "replay nothing that needs more; K, M, G, T as suffix");
  cli::integer(app, "--jobs", args.jobs, "replay this many cells side by side", 1, 1024);
  cli::path(app, "--junit", "FILE", args.junit, "write the verdict as JUnit XML");
  cli::path(app, "--attestation", "FILE", args.attestation,
            "write the verdict as a signed in-toto statement");
  cli::key(app, args.key).description("the auditor's secret key (aftune-key), which signs the attestation");
  cli::threads(app, args.threads);
  cli::device(app, args.device);
  cli::json(app, args.json);
  cli::quiet(app, args.quiet);
}

std::vector<fs::path> inputs(const Args& args) {
  return {args.pubkey, args.checkpoint, args.challenge,   args.policy, args.data,   args.key,   args.evidence,
          args.log,    args.since,      args.consistency, args.known,  args.bisect, args.bounds};
}

void require_consistent(const Args& args) {
  const auto wrong = [](const char* why) { fail(Fault::kUsage, why); };
  if (args.trace.empty() == args.evidence.empty()) wrong("give one of --trace and --evidence");
  if (!args.evidence.empty() && args.challenge.empty()) wrong("--evidence answers a --challenge: give it");
  if (args.evidence.empty() && !args.log.empty()) wrong("--log goes with --evidence: a trace has its own");
  if (!args.consistency.empty() && args.since.empty()) wrong("--consistency needs --since");
  if (!args.challenge.empty() && (!args.seed.empty() || args.all))
    wrong("--challenge says which cells; --challenge-seed and --all do not go with it");
  if (args.all && !(args.cells.empty() && args.seed.empty()))
    wrong("--all needs no --challenge-seed and no --cells");
  if (args.challenge.empty() && !args.all && (args.cells.empty() || args.seed.empty()))
    wrong("give --challenge, or --challenge-seed and --cells, or --all");
  if (args.receipts.empty() && !(args.requests.empty() && args.witnesses.empty()))
    wrong("--requests and --witness go with --receipt");
  if (!args.merge.empty() && args.challenge.empty()) wrong("--merge needs the --challenge that was answered");
  if (!args.merge.empty() && !args.cells.empty())
    wrong("--merge takes the cells of its verdicts, not --cells");
  if (args.attestation.empty() != args.key.empty()) wrong("--attestation and --key go together");
  cli::require_not_input("--junit", args.junit, inputs(args));
  cli::require_not_input("--attestation", args.attestation, inputs(args));
  if (args.junit == "-" || args.attestation == "-") wrong("the verdict is on stdout; name a file");
  if (!args.junit.empty() && args.junit == args.attestation) wrong("--junit and --attestation name one file");
}

// Which of a challenge's cells: "2,5-7" by their places, or "3/8", every eighth from place 3 on.
void choose_cells(const std::string& list, audit::VerifyOptions& options) {
  constexpr std::int64_t kMost = 1'000'000;
  const auto place = [](const std::string& text) { return cli::parse_integer("--cells", text); };
  if (const std::size_t slash = list.find('/'); slash != list.npos) {
    options.share = place(list.substr(0, slash));
    options.share_of = place(list.substr(slash + 1));
    if (options.share < 0 || options.share >= options.share_of || options.share_of > kMost)
      fail(Fault::kUsage, "--cells: \"", list, "\" is no share");
    return;
  }
  std::set<std::int64_t> places;
  std::istringstream parts(list);
  for (std::string part; std::getline(parts, part, ',');) {
    const std::size_t dash = part.find('-', 1);
    const std::int64_t first = place(part.substr(0, dash));
    const std::int64_t last = dash == part.npos ? first : place(part.substr(dash + 1));
    if (first < 0 || last < first || last >= kMost)
      fail(Fault::kUsage, "--cells: \"", part, "\" is no range");
    for (std::int64_t i = first; i <= last; ++i) places.insert(i);
  }
  options.only.assign(places.begin(), places.end());
}

std::int64_t count(const std::string& text) {
  const std::int64_t n = cli::parse_integer("--cells", text);
  if (n < 1 || n > std::int64_t{1} << 40) fail(Fault::kUsage, "--cells: ", text, " is not a number of cells");
  return n;
}

std::optional<fs::path> given(const fs::path& path) {
  return path.empty() ? std::nullopt : std::optional(path);
}

template <class Value>
Value parsed(const fs::path& path, Value (*parse)(std::string_view)) {
  const std::string text = cli::read_input(path, kMaxText);
  return within(path.native(), [&] { return parse(text); });
}

audit::VerifyOptions options_of(const Args& args) {
  audit::VerifyOptions options{.trace = args.trace,
                               .evidence = given(args.evidence),
                               .log = given(args.log),
                               .key = seal::PublicKey::read(args.pubkey),
                               .checkpoint = given(args.checkpoint),
                               .plan = {},
                               .challenge = {},
                               .policy = {},
                               .data = given(args.data),
                               .model = given(args.model),
                               .adapter = given(args.adapter),
                               .exported = given(args.exported),
                               .since = given(args.since),
                               .consistency = given(args.consistency),
                               .known = given(args.known),
                               .tampered = args.tampered,
                               .threads = cli::thread_count(args.threads),
                               .jobs = args.jobs,
                               .max_memory = args.max_memory,
                               .quiet = args.quiet};
  options.plan.all = args.all;
  if (!args.cells.empty() && args.challenge.empty()) options.plan.uniform = count(args.cells);
  if (!args.cells.empty() && !args.challenge.empty()) choose_cells(args.cells, options);
  if (!args.seed.empty()) options.seed = digest_from_hex(args.seed).bytes;
  if (!args.challenge.empty()) options.challenge = parsed(args.challenge, audit::parse_challenge);
  for (const fs::path& part : args.merge) {
    const std::string text = cli::read_input(part, audit::kMaxVerdictBytes);
    options.parts.push_back(
        within(part.native(), [&] { return as_usage([&] { return audit::parse_verdict(text); }); }));
  }
  if (!args.policy.empty()) options.policy = parsed(args.policy, audit::parse_policy);
  if (!args.bounds.empty()) {
    const std::string text = cli::read_input(args.bounds, audit::kMaxBoundsBytes);
    options.bounds =
        within(args.bounds.native(), [&] { return as_usage([&] { return audit::parse_bounds(text); }); });
  }
  for (const fs::path& file : args.receipts)
    for (audit::HeldReceipt& held :
         audit::read_receipts(file.native(), cli::read_input(file, audit::kMaxReceiptBytes)))
      options.receipts.push_back(std::move(held));
  for (const fs::path& file : args.requests) {
    if (!options.requests) options.requests.emplace();
    audit::add_requests(cli::read_input(file, audit::kMaxReceiptBytes), *options.requests);
  }
  for (const fs::path& file : args.witnesses)
    options.time_witnesses.push_back(seal::PublicKey::read(file, seal::KeyUse::kWitness).vkey());
  if (!args.lineage.empty()) options.lineage = cli::read_input(args.lineage, kMaxText);
  return options;
}

cli::Exit exit_of(audit::Outcome outcome) {
  switch (outcome) {
    case audit::Outcome::kAccept:
      return cli::Exit::kDone;
    case audit::Outcome::kReject:
      return cli::Exit::kReject;
    case audit::Outcome::kIncomplete:
      break;
  }
  return cli::Exit::kIncomplete;
}

/// The files beside the verdict. A verdict of no signed log has nothing that a statement could
/// be about; it is no ACCEPT, so no one waits for an attestation of it in vain.
void write_reports(const Args& args, const audit::Verdict& verdict,
                   const std::optional<seal::SecretKey>& key) {
  if (!args.junit.empty()) cli::write_output(args.junit, report::junit(verdict));
  if (!key) return;
  if (verdict.root.empty())
    cli::warn("no attestation was written: the verdict is of no signed log");
  else
    cli::write_output(args.attestation, report::attest(verdict, *key));
}

void print_verdict(const Args& args, const audit::Verdict& verdict) {
  args.json ? cli::print_json(audit::to_json(verdict))
            : cli::print(audit::describe(verdict, cli::colour_on_stdout()));
}

// Of what else a verification takes, nothing says anything about one operation.
void require_alone(const Args& args, const char* flag) {
  const bool others = args.all || !args.trace.empty() || !args.log.empty() || !args.policy.empty() ||
                      !args.data.empty() || !args.adapter.empty() || !args.exported.empty() ||
                      !args.checkpoint.empty() || !args.seed.empty() || !args.cells.empty() ||
                      !args.since.empty() || !args.consistency.empty() || !args.known.empty() ||
                      !args.merge.empty() || !args.receipts.empty() || !args.requests.empty() ||
                      !args.witnesses.empty() || !args.lineage.empty() || !args.bounds.empty() ||
                      !args.junit.empty() || !args.attestation.empty() || !args.key.empty();
  if (others) fail(Fault::kUsage, flag, " goes with no flag that is about a whole audit");
}

cli::Exit check_proof(const Args& args) {
  require_alone(args, "--proof");
  if (!args.bisect.empty() || !args.proof_out.empty() || !args.evidence.empty() || !args.challenge.empty() ||
      !args.model.empty())
    fail(Fault::kUsage, "--proof holds all it needs; --evidence, --challenge and --bisect do not go with it");
  const device::Chosen device(args.device);
  const audit::Verdict verdict = audit::check_op_proof({.proof = args.proof,
                                                        .key = seal::PublicKey::read(args.pubkey),
                                                        .threads = cli::thread_count(args.threads),
                                                        .accelerator = device.accelerator(),
                                                        .max_memory = args.max_memory});
  print_verdict(args, verdict);
  return exit_of(verdict.outcome);
}

std::string describe(const audit::Bisection& b, const fs::path& proof) {
  const std::string cell = cat("cell ", b.cell.block, ",", b.cell.step_block);
  switch (b.result) {
    case audit::Bisection::Result::kAgrees:
      return cat("agrees: all ", b.operations, " operations of ", cell, " are as signed\n");
    case audit::Bisection::Result::kDiffers:
      return cat("differs: operation ", b.agreed, " of ", b.operations, ", ", b.where, ": ", b.detail,
                 "\nproof: ", proof.native(), "\n");
    case audit::Bisection::Result::kContradicts:
      return cat("contradicts: ", b.where, ": ", b.detail, "\nproof: ",
                 fs::exists(proof) ? proof.native() : "the signed list, with the evidence's leaves", "\n");
    case audit::Bisection::Result::kRefused:
      break;
  }
  return cat("refused: ", b.where, ": ", b.detail, "\nthe opened ", cell, " is itself the proof\n");
}

cli::Exit bisect(const Args& args) {
  require_alone(args, "--bisect");
  if (args.evidence.empty() || args.challenge.empty() || args.proof_out.empty())
    fail(Fault::kUsage, "--bisect needs --evidence, --challenge and --proof-out");
  cli::require_not_input("--proof-out", args.proof_out, inputs(args));
  const std::string list = cli::read_input(args.bisect, audit::kMaxOpListBytes);
  const device::Chosen device(args.device);
  const audit::Bisection result =
      audit::bisect({.list = within(args.bisect.native(), [&] { return audit::parse_op_list(list); }),
                     .evidence = args.evidence,
                     .challenge = parsed(args.challenge, audit::parse_challenge),
                     .key = seal::PublicKey::read(args.pubkey),
                     .proof = args.proof_out,
                     .threads = cli::thread_count(args.threads),
                     .accelerator = device.accelerator(),
                     .max_memory = args.max_memory,
                     .model = given(args.model)});
  args.json ? cli::print_json(audit::to_json(result)) : cli::print(describe(result, args.proof_out));
  if (result.result == audit::Bisection::Result::kRefused) return cli::Exit::kIncomplete;
  return result.result == audit::Bisection::Result::kAgrees ? cli::Exit::kDone : cli::Exit::kReject;
}

cli::Exit verify(const Args& args) {
  if (!args.proof.empty()) return check_proof(args);
  if (!args.bisect.empty()) return bisect(args);
  if (!args.proof_out.empty()) fail(Fault::kUsage, "--proof-out goes with --bisect");
  require_consistent(args);
  std::optional<seal::SecretKey> key;
  if (!args.key.empty())
    key = seal::SecretKey::read(args.key, [] { return cli::ask_passphrase("passphrase"); });
  audit::VerifyOptions options = options_of(args);
  const device::Chosen device(args.device);
  options.accelerator = device.accelerator();
  if (key) options.replay_secret = audit::replay_secret(*key);
  const audit::Verdict verdict = audit::verify(options);
  write_reports(args, verdict, key);
  print_verdict(args, verdict);
  return exit_of(verdict.outcome);
}

}  // namespace
}  // namespace aftune

int main(int argc, char** argv) {
  return aftune::cli::run<aftune::Args>(
      "aftune-verify", "Checks a sealed trace, or evidence of it, by replaying sampled cells exactly.",
      aftune::flags, aftune::verify, argc, argv);
}
