// Shows what a trace or a policy holds, or the tokens of texts; drafts a policy.

#include <iostream>

#include "audit/policy.h"
#include "audit/policy_draft.h"
#include "base/error.h"
#include "cli/cli.h"
#include "tokenizer/tokenizer.h"
#include "trace/overview.h"

namespace aftune {
namespace {

constexpr std::uint64_t kMaxPolicy = std::uint64_t{1} << 20;

struct Args {
  fs::path trace, model, policy, policy_from, data;
  fs::path out = "-";
  bool tokenize = false, json = false;
};

void flags(CLI::App& app, Args& args) {
  cli::trace(app, args.trace);
  cli::toggle(app, "--tokenize", args.tokenize, "print the ids of the JSON strings on stdin, one a line");
  cli::model(app, args.model);
  cli::policy(app, args.policy);
  cli::path(app, "--policy-from", "DIR", args.policy_from,
            "draft a policy from the client's base model and --data");
  cli::data(app, args.data);
  cli::out(app, args.out, "FILE", "policy file to write, - for stdout [-]");
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

std::string joined(const std::vector<std::string>& items) {
  std::string text;
  for (const std::string& item : items) text += (text.empty() ? "" : ", ") + item;
  return text;
}

cli::Exit show_policy(const Args& args) {
  const std::string text = cli::read_input(args.policy, kMaxPolicy);
  const audit::Policy policy = within(args.policy.native(), [&] { return audit::parse_policy(text); });
  const std::string digest = to_hex(policy.digest);
  const std::string run = policy.run_from_nonce ? audit::run_id_of(policy) : policy.run.value_or("");
  const auto open = audit::unpinned(&policy);
  if (args.json)
    cli::print_json({{"digest", digest}, {"run", run.empty() ? Json() : Json(run)}, {"unpinned", open}});
  else
    cli::print(cat("digest      ", digest, "\nrun         ", run.empty() ? "any" : run, "\nnot pinned  ",
                   open.empty() ? "nothing" : joined(open), '\n'));
  return cli::Exit::kDone;
}

cli::Exit draft(const Args& args) {
  ThreadPool pool(cli::thread_count(0));
  const std::string text = audit::draft_policy(args.policy_from, args.data, pool);
  cli::write_output(args.out, text);
  const audit::Policy policy = audit::parse_policy(text);
  cli::note(cat("not pinned: ", joined(audit::unpinned(&policy)), "; nothing is asked of the audit"));
  return cli::Exit::kDone;
}

cli::Exit inspect(const Args& args) {
  const auto wrong = [](const char* why) { fail(Fault::kUsage, why); };
  if (args.tokenize != !args.model.empty()) wrong("--tokenize and --model go together");
  if (args.policy_from.empty() != args.data.empty()) wrong("--policy-from and --data go together");
  if (args.out != "-" && args.policy_from.empty()) wrong("--out goes with --policy-from");
  const int tasks = (args.tokenize ? 1 : 0) + (args.trace.empty() ? 0 : 1) + (args.policy.empty() ? 0 : 1) +
                    (args.policy_from.empty() ? 0 : 1);
  if (tasks != 1) wrong("give one of --trace, --tokenize, --policy and --policy-from");
  if (args.tokenize) return tokenize(args);
  if (!args.policy.empty()) return show_policy(args);
  if (!args.policy_from.empty()) return draft(args);
  const trace::Overview seen = trace::overview({args.trace});
  args.json ? cli::print_json(trace::to_json(seen)) : cli::print(trace::describe(seen));
  return cli::Exit::kDone;
}

}  // namespace
}  // namespace aftune

int main(int argc, char** argv) {
  return aftune::cli::run<aftune::Args>(
      "aftune-inspect", "Shows what a trace or a policy holds, or the tokens of texts; drafts a policy.",
      aftune::flags, aftune::inspect, argc, argv);
}
