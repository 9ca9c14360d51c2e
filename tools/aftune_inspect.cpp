// Shows what a trace holds, or the tokens of texts.

#include <iostream>

#include "base/error.h"
#include "cli/cli.h"
#include "tokenizer/tokenizer.h"
#include "trace/overview.h"

namespace aftune {
namespace {

struct Args {
  fs::path trace, model;
  bool tokenize = false, json = false;
};

void flags(CLI::App& app, Args& args) {
  cli::trace(app, args.trace);
  cli::toggle(app, "--tokenize", args.tokenize, "print the ids of the JSON strings on stdin, one a line");
  cli::model(app, args.model);
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

cli::Exit inspect(const Args& args) {
  if (args.tokenize != !args.model.empty()) fail(Fault::kUsage, "--tokenize and --model go together");
  if (args.tokenize == !args.trace.empty()) fail(Fault::kUsage, "give one of --trace and --tokenize");
  if (args.tokenize) return tokenize(args);
  const trace::Overview seen = trace::overview({args.trace});
  args.json ? cli::print_json(trace::to_json(seen)) : cli::print(trace::describe(seen));
  return cli::Exit::kDone;
}

}  // namespace
}  // namespace aftune

int main(int argc, char** argv) {
  return aftune::cli::run<aftune::Args>("aftune-inspect", "Shows what a trace holds, or the tokens of texts.",
                                        aftune::flags, aftune::inspect, argc, argv);
}
