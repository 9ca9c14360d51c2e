// Checks a sealed trace by replaying sampled cells exactly.

#include "audit/verify.h"

#include "base/error.h"
#include "cli/cli.h"
#include "report/attestation.h"
#include "report/junit.h"

namespace aftune {
namespace {

constexpr std::uint64_t kMaxText = std::uint64_t{1} << 20;

struct Args {
  fs::path trace, pubkey, checkpoint, challenge, policy, data, model, exported;
  fs::path junit, attestation, key;
  std::string seed;
  std::int64_t cells = 0;
  bool all = false, json = false, quiet = false;
  double tampered = 0;
  int threads = 0;
  std::uint64_t max_memory = 0;
};

void flags(CLI::App& app, Args& args) {
  cli::trace(app, args.trace)->required();
  cli::pubkey(app, args.pubkey)->required();
  cli::checkpoint(app, args.checkpoint);
  cli::challenge(app, args.challenge);
  cli::challenge_seed(app, args.seed);
  cli::integer(app, "--cells", args.cells, "replay this many cells, drawn by the seed", 1,
               std::int64_t{1} << 40);
  cli::toggle(app, "--all", args.all, "replay every cell");
  cli::policy(app, args.policy);
  cli::data(app, args.data);
  cli::model(app, args.model);
  cli::path(app, "--export", "DIR", args.exported, "the shipped model, compared with the last state");
  cli::real(app, "--tampered", args.tampered,
            "attacker: at least this part of the cells is bad; 0 is one cell", 0, 1);
  cli::size(app, "--max-memory", args.max_memory, "replay nothing that needs more; K, M, G, T as suffix");
  cli::path(app, "--junit", "FILE", args.junit, "write the verdict as JUnit XML");
  cli::path(app, "--attestation", "FILE", args.attestation,
            "write the verdict as a signed in-toto statement");
  cli::key(app, args.key)->description("the auditor's secret key (aftune-key), which signs the attestation");
  cli::threads(app, args.threads);
  cli::json(app, args.json);
  cli::quiet(app, args.quiet);
}

std::vector<fs::path> inputs(const Args& args) {
  return {args.pubkey, args.checkpoint, args.challenge, args.policy, args.data, args.key};
}

void require_consistent(const Args& args) {
  const auto wrong = [](const char* why) { fail(Fault::kUsage, why); };
  const bool by_seed = args.cells > 0 || !args.seed.empty();
  if (!args.challenge.empty() && (by_seed || args.all))
    wrong("--challenge says which cells; --challenge-seed, --cells and --all do not go with it");
  if (args.all && by_seed) wrong("--all needs no --challenge-seed and no --cells");
  if (args.challenge.empty() && !args.all && (args.cells == 0 || args.seed.empty()))
    wrong("give --challenge, or --challenge-seed and --cells, or --all");
  if (args.attestation.empty() != args.key.empty()) wrong("--attestation and --key go together");
  cli::require_not_input("--junit", args.junit, inputs(args));
  cli::require_not_input("--attestation", args.attestation, inputs(args));
  if (args.junit == "-" || args.attestation == "-") wrong("the verdict is on stdout; name a file");
  if (!args.junit.empty() && args.junit == args.attestation) wrong("--junit and --attestation name one file");
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
                               .key = seal::PublicKey::read(args.pubkey),
                               .checkpoint = given(args.checkpoint),
                               .plan = {},
                               .challenge = {},
                               .policy = {},
                               .data = given(args.data),
                               .model = given(args.model),
                               .exported = given(args.exported),
                               .tampered = args.tampered,
                               .threads = cli::thread_count(args.threads),
                               .max_memory = args.max_memory,
                               .quiet = args.quiet};
  options.plan.all = args.all;
  options.plan.uniform = args.cells;
  if (!args.seed.empty()) options.seed = digest_from_hex(args.seed).bytes;
  if (!args.challenge.empty()) options.challenge = parsed(args.challenge, audit::parse_challenge);
  if (!args.policy.empty()) options.policy = parsed(args.policy, audit::parse_policy);
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

cli::Exit verify(const Args& args) {
  require_consistent(args);
  std::optional<seal::SecretKey> key;
  if (!args.key.empty())
    key = seal::SecretKey::read(args.key, [] { return cli::ask_passphrase("passphrase"); });
  const audit::Verdict verdict = audit::verify(options_of(args));
  write_reports(args, verdict, key);
  args.json ? cli::print_json(audit::to_json(verdict))
            : cli::print(audit::describe(verdict, cli::colour_on_stdout()));
  return exit_of(verdict.outcome);
}

}  // namespace
}  // namespace aftune

int main(int argc, char** argv) {
  return aftune::cli::run<aftune::Args>("aftune-verify",
                                        "Checks a sealed trace by replaying sampled cells exactly.",
                                        aftune::flags, aftune::verify, argc, argv);
}
