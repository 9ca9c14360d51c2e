// Plans a sample of cells and writes the challenge.

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>

#include "audit/planning.h"
#include "base/error.h"
#include "cli/cli.h"
#include "seal/keys.h"
#include "seal/note.h"
#include "trace/layout.h"
#include "trace/log.h"

namespace aftune {
namespace {

constexpr std::uint64_t kMaxNote = std::uint64_t{1} << 16;
constexpr std::uint64_t kMaxLog = std::uint64_t{1} << 36;

struct Args {
  fs::path checkpoint, pubkey, trace, manifest, proof;
  fs::path out = "-";
  std::string seed;
  bool fresh = false, plan_only = false, json = false;
  double confidence = 0, tampered = 0;
  std::int64_t cells = 0;
  audit::Plan plan;
};

void flags(CLI::App& app, Args& args) {
  constexpr std::int64_t kMost = std::int64_t{1} << 40;
  cli::checkpoint(app, args.checkpoint);
  cli::pubkey(app, args.pubkey);
  cli::out(app, args.out, "FILE", "challenge file to write, - for stdout [-]");
  cli::challenge_seed(app, args.seed);
  cli::toggle(app, "--fresh", args.fresh, "draw the seed now, from the system's random numbers");
  cli::real(app, "--confidence", args.confidence,
            "draw enough cells to find the attacker with this probability", 1e-9, 1 - 1e-12);
  cli::real(app, "--tampered", args.tampered,
            "attacker: at least this part of the cells is bad; 0 is one cell", 0, 1);
  cli::integer(app, "--cells", args.cells, "draw this many cells uniformly", 1, kMost);
  cli::integer(app, "--inputs", args.plan.inputs, "draw cells of the first stage besides (data)", 0, kMost);
  cli::integer(app, "--objective", args.plan.objective, "draw cells of the last stage besides (loss)", 0,
               kMost);
  cli::integer(app, "--ends", args.plan.ends, "draw cells of the first and of the last step block besides", 0,
               kMost);
  cli::toggle(app, "--all", args.plan.all, "every cell");
  cli::trace(app, args.trace);
  cli::path(app, "--manifest", "FILE", args.manifest, "the log's first line, to print cells and odds");
  cli::path(app, "--proof", "FILE", args.proof, "its proof, manifest.tlog-proof");
  cli::toggle(app, "--plan", args.plan_only, "only print the statistics; no seed is needed");
  cli::json(app, args.json);
}

void require_consistent(const Args& args) {
  const auto wrong = [](const auto&... parts) { fail(Fault::kUsage, parts...); };
  if (args.checkpoint.empty()) wrong("--checkpoint is required");
  if (args.pubkey.empty()) wrong("--pubkey is required");
  if (!args.plan_only && args.seed.empty() == !args.fresh) wrong("give one of --challenge-seed and --fresh");
  if (args.plan_only && (!args.seed.empty() || args.fresh)) wrong("--plan takes no seed");
  const int sizes = (args.plan.all ? 1 : 0) + (args.cells > 0 ? 1 : 0) + (args.confidence > 0 ? 1 : 0);
  if (sizes > 1) wrong("give one of --all, --cells and --confidence");
  if (sizes == 0 && args.plan.inputs + args.plan.objective + args.plan.ends == 0)
    wrong("no cells asked for: give --confidence, --cells or --all");
  if (!args.trace.empty() && !args.manifest.empty()) wrong("give one of --trace and --manifest");
  if (args.manifest.empty() != args.proof.empty()) wrong("--manifest and --proof go together");
  if (args.json && args.out == "-" && !args.plan_only)
    wrong("--json needs --out FILE: the challenge goes to stdout");
  if (args.plan_only && args.trace.empty() && args.manifest.empty())
    wrong("--plan needs --trace or --manifest");
}

std::string first_line(const fs::path& path) {
  const std::string text = read_file(path, kMaxLog);
  return text.substr(0, text.find('\n'));
}

/// The run's grid, if the trace or a proved manifest was given.
std::optional<record::Grid> grid_of(const Args& args, const std::string& note) {
  const fs::path log = trace::Layout{args.trace}.log();
  if (!args.trace.empty())
    return within(log.native(), [&] { return audit::sealed_grid(note, trace::Log::read(log)); });
  if (args.manifest.empty()) return std::nullopt;
  const std::string leaf = first_line(args.manifest);
  const std::string proof = read_file(args.proof, 2 * kMaxNote);
  return within(args.manifest.native(), [&] { return audit::proved_grid(note, leaf, proof); });
}

std::array<std::uint8_t, 32> seed_of(const Args& args) {
  if (!args.fresh) return digest_from_hex(args.seed).bytes;
  std::array<std::uint8_t, 32> seed;
  if (::getentropy(seed.data(), seed.size()) != 0)
    fail(Fault::kSystem, "random numbers: ", std::strerror(errno));
  return seed;
}

audit::Plan plan_of(const Args& args, const std::optional<record::Grid>& grid) {
  audit::Plan plan = args.plan;
  plan.uniform = args.cells;
  const auto total = grid ? std::optional(grid->cells()) : std::nullopt;
  if (args.confidence > 0) plan.uniform = audit::cells_for(args.confidence, args.tampered, total);
  return plan;
}

Json odds_json(const audit::Odds& odds) {
  return {{"cells", odds.total},         {"bad", odds.bad},           {"uniform", odds.uniform},
          {"detection", odds.detection}, {"one_cell", odds.one_cell}, {"one_column", odds.one_column}};
}

Json cells_json(const std::vector<audit::Cell>& cells) {
  Json list = Json::array();
  for (const audit::Cell& cell : cells) list.push_back({cell.block, cell.step_block});
  return list;
}

std::string describe(const audit::Plan& plan, const audit::Odds& odds, double tampered) {
  std::string text = plan.all ? "every cell" : cat(plan.uniform, " cells uniformly");
  if (plan.inputs > 0) text += cat(", ", plan.inputs, " of the first stage");
  if (plan.objective > 0) text += cat(", ", plan.objective, " of the last stage");
  if (plan.ends > 0) text += cat(", ", plan.ends, " of the first and of the last step block each");
  text += '\n';
  if (odds.total == 0) return text;
  return text + cat("of ", odds.total, " cells in the run\nP(detect) ", odds.detection, " if at least ",
                    odds.bad, tampered > 0 ? cat(" (", tampered, " of all)") : "",
                    odds.bad == 1 ? " is" : " are", " bad, ", odds.one_cell, " if one is, ", odds.one_column,
                    " if one layer block is throughout\n");
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

cli::Exit challenge(const Args& args) {
  require_consistent(args);
  const std::string note = cli::read_input(args.checkpoint, kMaxNote);
  if (!is_signed(note, args)) return cli::Exit::kReject;
  const auto grid = grid_of(args, note);
  const audit::Plan plan = plan_of(args, grid);
  const audit::Odds odds = grid ? audit::odds_of(plan, *grid, args.tampered) : audit::Odds{};
  Json summary = {{"plan", audit::to_json(plan)}, {"odds", grid ? odds_json(odds) : Json()}};
  std::string text = describe(plan, odds, args.tampered);
  if (!args.plan_only) {
    const audit::Challenge made{note, seed_of(args), args.fresh ? "fresh" : "given", plan};
    const std::string file = audit::to_text(made);
    audit::parse_challenge(file);  // refuses what no verifier would take
    summary["seed"] = to_hex(Digest{made.seed});
    summary["drawn"] = grid ? cells_json(audit::draw_cells(made, *grid)) : Json();
    cli::write_output(args.out, file);
    if (args.out == "-") return cli::Exit::kDone;
    text += cat("seed ", to_hex(Digest{made.seed}), '\n');
    if (grid) text += cat("drawn (block, step block): ", summary["drawn"].dump(), '\n');
  }
  args.json ? cli::print_json(summary) : cli::print(text);
  return cli::Exit::kDone;
}

}  // namespace
}  // namespace aftune

int main(int argc, char** argv) {
  return aftune::cli::run<aftune::Args>("aftune-challenge",
                                        "Plans a sample of cells and writes the challenge.", aftune::flags,
                                        aftune::challenge, argc, argv);
}
