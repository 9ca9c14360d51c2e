// Answers a challenge: writes the evidence file, or the signed operations of one of its cells.

#include "audit/opening.h"

#include <limits>

#include "audit/bisect.h"
#include "base/error.h"
#include "cli/cli.h"

namespace aftune {
namespace {

constexpr std::uint64_t kMaxChallenge = std::uint64_t{1} << 20;

struct Args {
  fs::path trace, challenge, out, key;
  std::string ops;
  bool json = false, quiet = false;
  int threads = 0;
  std::uint64_t max_memory = 0;
};

void flags(CLI::App& app, Args& args) {
  cli::trace(app, args.trace)->required();
  cli::challenge(app, args.challenge)->required();
  cli::out(app, args.out, "FILE", "evidence file to write; with --ops, op list")->required();
  cli::text(app, "--ops", "CELL", args.ops,
            "write the signed operations of this cell of the challenge instead (layer block,step block)");
  cli::key(app, args.key);
  cli::size(app, "--max-memory", args.max_memory, "make nothing again that needs more; K, M, G, T as suffix");
  cli::threads(app, args.threads);
  cli::json(app, args.json);
  cli::quiet(app, args.quiet);
}

Json summary(const audit::Opened& opened) {
  Json cells = Json::array();
  for (const audit::Cell& cell : opened.cells) cells.push_back({cell.block, cell.step_block});
  const audit::OpeningCost& cost = opened.cost;
  return {{"cells", std::move(cells)},
          {"leaves", opened.leaves},
          {"bytes", opened.bytes},
          {"cost",
           {{"replayed_steps", cost.replayed_steps},
            {"replayed_tokens", cost.replayed_tokens},
            {"stored_bytes", cost.stored_bytes},
            {"recreated_bytes", cost.recreated_bytes}}}};
}

std::string describe(const audit::Opened& opened, const Args& args) {
  const audit::OpeningCost& cost = opened.cost;
  return cat("opened ", opened.cells.size(), " cells with ", opened.leaves, " leaves: ", args.out.native(),
             ", ", opened.bytes, " bytes", args.key.empty() ? "" : ", signed", "\n", cost.stored_bytes,
             " bytes of tensors were stored, ", cost.recreated_bytes, " made again by replaying ",
             cost.replayed_steps, " steps\n");
}

audit::Cell cell_of(const std::string& text) {
  const std::size_t comma = text.find(',');
  if (comma == text.npos) fail(Fault::kUsage, "--ops: \"", text, "\" is not a layer block and a step block");
  const std::int64_t block = cli::parse_integer("--ops", text.substr(0, comma));
  const std::int64_t step_block = cli::parse_integer("--ops", text.substr(comma + 1));
  if (block < 0 || block > std::numeric_limits<int>::max() || step_block < 0)
    fail(Fault::kUsage, "--ops: \"", text, "\" is no cell");
  return {static_cast<int>(block), step_block};
}

cli::Exit sign_ops(const Args& args, const audit::Challenge& challenge,
                   const std::optional<seal::SecretKey>& key) {
  if (!key) fail(Fault::kUsage, "an op list is signed: give --key");
  if (fs::exists(args.out)) fail(Fault::kUsage, args.out.native(), ": exists");
  fs::path scratch = args.out;
  scratch += ".cell";
  const audit::OpList list = audit::sign_op_list({.trace = args.trace,
                                                  .challenge = challenge,
                                                  .cell = cell_of(args.ops),
                                                  .key = *key,
                                                  .scratch = scratch,
                                                  .threads = cli::thread_count(args.threads),
                                                  .max_memory = args.max_memory,
                                                  .quiet = args.quiet});
  const std::string text = audit::to_text(list);
  write_file(args.out, text);
  const audit::Cell& cell = list.cell;
  if (args.json)
    cli::print_json({{"cell", {cell.block, cell.step_block}},
                     {"operations", list.entries.size()},
                     {"bytes", text.size()}});
  else
    cli::print(cat("signed ", list.entries.size(), " operations of cell ", cell.block, ",", cell.step_block,
                   ": ", args.out.native(), ", ", text.size(), " bytes\n"));
  return cli::Exit::kDone;
}

cli::Exit open(const Args& args) {
  std::optional<seal::SecretKey> key;
  if (!args.key.empty())
    key.emplace(seal::SecretKey::read(args.key, [] { return cli::ask_passphrase("passphrase"); }));
  const std::string text = cli::read_input(args.challenge, kMaxChallenge);
  const audit::Challenge challenge =
      within(args.challenge.native(), [&] { return audit::parse_challenge(text); });
  if (!args.ops.empty()) return sign_ops(args, challenge, key);
  const audit::Opened opened = audit::open({.trace = args.trace,
                                            .challenge = challenge,
                                            .out = args.out,
                                            .key = key ? &*key : nullptr,
                                            .threads = cli::thread_count(args.threads),
                                            .max_memory = args.max_memory,
                                            .quiet = args.quiet});
  args.json ? cli::print_json(summary(opened)) : cli::print(describe(opened, args));
  return cli::Exit::kDone;
}

}  // namespace
}  // namespace aftune

int main(int argc, char** argv) {
  return aftune::cli::run<aftune::Args>("aftune-open", "Answers a challenge: writes the evidence file.",
                                        aftune::flags, aftune::open, argc, argv);
}
