// Answers a challenge: writes the evidence file, or the signed operations of one of its cells.

#include "audit/opening.h"

#include <limits>

#include "audit/bisect.h"
#include "audit/policy.h"
#include "base/error.h"
#include "cli/cli.h"
#include "device/device.h"

namespace aftune {
namespace {

constexpr std::uint64_t kMaxChallenge = std::uint64_t{1} << 20;
constexpr std::uint64_t kMaxPolicy = std::uint64_t{1} << 20;

struct Args {
  fs::path trace, challenge, out, key, policy, data, model, disclosed;
  std::string ops;
  bool json = false, quiet = false, export_salts = false, final_params = false;
  int threads = 0;
  std::string device = "cpu";
  std::uint64_t max_memory = 0;
};

void flags(CLI::App& app, Args& args) {
  cli::trace(app, args.trace).required();
  cli::challenge(app, args.challenge).required();
  cli::out(app, args.out, "FILE", "evidence file to write; with --ops, op list").required();
  cli::text(app, "--ops", "CELL", args.ops,
            "write the signed operations of this cell of the challenge instead (layer block,step block)");
  cli::key(app, args.key);
  cli::policy(app, args.policy).description("the client's policy: warn if more is disclosed than it allows");
  cli::data(app, args.data).description("the rows that were trained on: those of the cells go with them");
  cli::model(app, args.model)
      .description(
          "with --data: base model folder, whose tokenizer goes with the rows; of a run with adapters: the "
          "model beside which they stand; of a serving period: the model that is served");
  cli::toggle(app, "--final-params", args.final_params,
              "with the cells: every parameter of the last state, without moments");
  cli::path(app, "--disclosed", "FILE", args.disclosed,
            "count what is disclosed here, not in the trace, which is then only read");
  cli::toggle(app, "--export-salts", args.export_salts,
              "of a run with hiding: let the shipped files be compared with the log");
  cli::size(app, "--max-memory", args.max_memory, "make nothing again that needs more; K, M, G, T as suffix");
  cli::threads(app, args.threads);
  cli::device(app, args.device);
  cli::json(app, args.json);
  cli::quiet(app, args.quiet);
}

Json summary(const audit::Opened& opened) {
  Json cells = Json::array();
  for (const audit::Cell& cell : opened.cells) cells.push_back({cell.block, cell.step_block});
  const audit::OpeningCost& cost = opened.cost;
  return {{"cells", std::move(cells)},
          {"leaves", opened.leaves},
          {"rows", opened.rows},
          {"bytes", opened.bytes},
          {"cost",
           {{"replayed_steps", cost.replayed_steps},
            {"replayed_tokens", cost.replayed_tokens},
            {"stored_bytes", cost.stored_bytes},
            {"recreated_bytes", cost.recreated_bytes}}},
          {"disclosed", to_json(opened.disclosed)}};
}

std::string describe(const audit::Opened& opened, const Args& args) {
  const audit::OpeningCost& cost = opened.cost;
  return cat("opened ", opened.cells.size(), " cells with ", opened.leaves, " leaves: ", args.out.native(),
             ", ", opened.bytes, " bytes", args.key.empty() ? "" : ", signed", "\n",
             opened.rows == 0 ? "" : cat("with ", opened.rows, " rows of the data and the tokenizer\n"),
             cost.stored_bytes, " bytes of tensors were stored, ", cost.recreated_bytes,
             " made again by replaying ", cost.replayed_steps, " steps\n",
             "disclosed so far: ", describe(opened.disclosed), '\n');
}

// What is disclosed cannot be taken back: the provider is told, and decides whether to hand the file out.
void warn_of_disclosure(const audit::Disclosure& disclosed, const audit::Policy& policy) {
  if (policy.max_blocks_disclosed && disclosed.blocks > *policy.max_blocks_disclosed)
    cli::warn(cat("with this answer ", disclosed.blocks, " layer blocks are disclosed, the policy allows ",
                  *policy.max_blocks_disclosed));
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

std::optional<fs::path> given(const fs::path& path) {
  return path.empty() ? std::nullopt : std::optional(path);
}

cli::Exit sign_ops(const Args& args, const audit::Challenge& challenge,
                   const std::optional<seal::SecretKey>& key) {
  if (!key) fail(Fault::kUsage, "an op list is signed: give --key");
  if (fs::exists(args.out)) fail(Fault::kUsage, args.out.native(), ": exists");
  fs::path scratch = args.out;
  scratch += ".cell";
  const device::Chosen device(args.device);
  const audit::OpList list = audit::sign_op_list({.trace = args.trace,
                                                  .challenge = challenge,
                                                  .cell = cell_of(args.ops),
                                                  .key = *key,
                                                  .scratch = scratch,
                                                  .threads = cli::thread_count(args.threads),
                                                  .accelerator = device.accelerator(),
                                                  .max_memory = args.max_memory,
                                                  .quiet = args.quiet,
                                                  .model = given(args.model)});
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
  if (!args.ops.empty() && !(args.data.empty() && args.disclosed.empty() && !args.final_params))
    fail(Fault::kUsage, "--ops writes an op list, which has no rows, no final parameters and is not counted");
  if (!args.disclosed.empty() && args.disclosed.lexically_normal() == args.out.lexically_normal())
    fail(Fault::kUsage, "--disclosed and --out name one file");
  std::optional<seal::SecretKey> key;
  if (!args.key.empty())
    key.emplace(seal::SecretKey::read(args.key, [] { return cli::ask_passphrase("passphrase"); }));
  const std::string text = cli::read_input(args.challenge, kMaxChallenge);
  const audit::Challenge challenge =
      within(args.challenge.native(), [&] { return audit::parse_challenge(text); });
  if (!args.ops.empty()) return sign_ops(args, challenge, key);
  std::optional<audit::Policy> policy;
  if (!args.policy.empty())
    policy = within(args.policy.native(),
                    [&] { return audit::parse_policy(cli::read_input(args.policy, kMaxPolicy)); });
  const device::Chosen device(args.device);
  const audit::Opened opened = audit::open({.trace = args.trace,
                                            .challenge = challenge,
                                            .out = args.out,
                                            .key = key ? &*key : nullptr,
                                            .threads = cli::thread_count(args.threads),
                                            .accelerator = device.accelerator(),
                                            .max_memory = args.max_memory,
                                            .quiet = args.quiet,
                                            .data = given(args.data),
                                            .model = given(args.model),
                                            .final_params = args.final_params,
                                            .disclosed = given(args.disclosed),
                                            .export_salts = args.export_salts});
  if (policy) warn_of_disclosure(opened.disclosed, *policy);
  args.json ? cli::print_json(summary(opened)) : cli::print(describe(opened, args));
  return cli::Exit::kDone;
}

}  // namespace
}  // namespace aftune

int main(int argc, char** argv) {
  return aftune::cli::run<aftune::Args>("aftune-open", "Answers a challenge: writes the evidence file.",
                                        aftune::flags, aftune::open, argc, argv);
}
