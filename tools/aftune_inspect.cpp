// Shows what a trace holds, a verdict, or the tokens of texts.

#include <iostream>

#include "base/error.h"
#include "cli/cli.h"
#include "report/attestation.h"
#include "report/page.h"
#include "tokenizer/tokenizer.h"
#include "trace/overview.h"

namespace aftune {
namespace {

struct Args {
  fs::path trace, model;
  fs::path verdict, attestation, pubkey, log, html;
  bool tokenize = false, json = false;
};

void flags(CLI::App& app, Args& args) {
  cli::trace(app, args.trace);
  cli::toggle(app, "--tokenize", args.tokenize, "print the ids of the JSON strings on stdin, one a line");
  cli::model(app, args.model);
  cli::path(app, "--verdict", "FILE", args.verdict, "show a verdict, as aftune-verify --json prints it");
  cli::path(app, "--attestation", "FILE", args.attestation, "show the verdict of a signed statement");
  cli::pubkey(app, args.pubkey)->description("the auditor's public key, a vkey line");
  cli::path(app, "--html", "FILE", args.html, "write the verdict as an HTML page");
  cli::path(app, "--log", "FILE", args.log, "log.jsonl of the verdict's run, for the page");
  cli::json(app, args.json);
}

std::string text_of(const std::string& line) {
  const Json json = parse_json(line, {.max_bytes = std::size_t{1} << 26, .max_depth = 4});
  if (!json.is_string()) fail(Fault::kEvidence, "not a JSON string");
  return json.get<std::string>();
}

cli::Exit tokenize(const Args& args) {
  const auto tokenizer = tokenizer::Tokenizer::read(args.model / "tokenizer.json");
  std::string line;
  for (std::int64_t number = 1; std::getline(std::cin, line); ++number) {
    const std::string text = within(cat("stdin line ", number), [&] { return text_of(line); });
    cli::print_json({{"ids", tokenizer.encode(text, false)}});
  }
  if (std::cin.bad()) fail(Fault::kSystem, "stdin: read error");
  return cli::Exit::kDone;
}

void require_consistent_verdict(const Args& args) {
  const auto wrong = [](const char* why) { fail(Fault::kUsage, why); };
  if (args.attestation.empty() != args.pubkey.empty()) wrong("--attestation and --pubkey go together");
  if (!args.verdict.empty() && !args.attestation.empty()) wrong("give one of --verdict and --attestation");
  if (args.html.empty() && !(args.log.empty() && args.trace.empty()))
    wrong("with a verdict, --trace and --log are for the page that --html writes");
  if (!args.log.empty() && !args.trace.empty()) wrong("--trace has a log: --log does not go with it");
  if (args.html == "-" && args.json) wrong("--html - and --json both write to stdout");
  cli::require_not_input("--html", args.html, {args.verdict, args.attestation, args.pubkey, args.log});
}

audit::Verdict read_verdict(const Args& args) {
  if (args.attestation.empty()) {
    const std::string text = cli::read_input(args.verdict, audit::kMaxVerdictBytes);
    return within(args.verdict.native(), [&] { return audit::parse_verdict(text); });
  }
  const seal::PublicKey key = seal::PublicKey::read(args.pubkey);
  const std::string text = cli::read_input(args.attestation, report::kMaxEnvelopeBytes);
  return within(args.attestation.native(), [&] { return report::open_attestation(text, key); });
}

void write_page(const Args& args, const audit::Verdict& verdict) {
  report::PageInput input{.verdict = verdict};
  std::optional<report::RunLog> run;
  const fs::path log = args.trace.empty() ? args.log : trace::Layout{args.trace}.log();
  if (!log.empty()) run = report::read_run_log(log, verdict);
  if (run) input.run = &*run;
  if (!args.attestation.empty()) input.signer = seal::PublicKey::read(args.pubkey).name();
  cli::write_output(args.html, report::page(input));
}

cli::Exit show_verdict(const Args& args) {
  require_consistent_verdict(args);
  const audit::Verdict verdict = read_verdict(args);
  if (!args.html.empty()) write_page(args, verdict);
  if (args.html == "-") return cli::Exit::kDone;
  args.json ? cli::print_json(audit::to_json(verdict))
            : cli::print(audit::describe(verdict, cli::colour_on_stdout()));
  return cli::Exit::kDone;
}

cli::Exit inspect(const Args& args) {
  const bool verdict = !args.verdict.empty() || !args.attestation.empty();
  if (!verdict && !(args.pubkey.empty() && args.html.empty() && args.log.empty()))
    fail(Fault::kUsage, "--pubkey, --html and --log go with --verdict or --attestation");
  if (verdict && !args.tokenize && args.model.empty()) return show_verdict(args);
  if (args.tokenize != !args.model.empty()) fail(Fault::kUsage, "--tokenize and --model go together");
  if (args.tokenize == !args.trace.empty()) fail(Fault::kUsage, "give one of --trace and --tokenize");
  if (verdict) fail(Fault::kUsage, "--tokenize does not go with a verdict");
  if (args.tokenize) return tokenize(args);
  const trace::Overview seen = trace::overview({args.trace});
  args.json ? cli::print_json(trace::to_json(seen)) : cli::print(trace::describe(seen));
  return cli::Exit::kDone;
}

}  // namespace
}  // namespace aftune

int main(int argc, char** argv) {
  return aftune::cli::run<aftune::Args>("aftune-inspect",
                                        "Shows what a trace holds, a verdict, or the tokens of texts.",
                                        aftune::flags, aftune::inspect, argc, argv);
}
