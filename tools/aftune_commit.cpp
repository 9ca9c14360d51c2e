// Seals a trace: signs the root of its log.

#include "base/error.h"
#include "cli/cli.h"
#include "trace/commit.h"

namespace aftune {
namespace {

struct Args {
  fs::path trace, key;
  bool json = false;
};

void flags(CLI::App& app, Args& args) {
  cli::trace(app, args.trace)->required();
  cli::key(app, args.key)->required();
  cli::json(app, args.json);
}

cli::Exit commit(const Args& args) {
  const auto key = seal::SecretKey::read(args.key, [] { return cli::ask_passphrase("passphrase"); });
  const trace::Commitment made = trace::commit({args.trace}, key);
  if (!made.extends) {
    cli::complain(cat(trace::Layout{args.trace}.checkpoint().native(),
                      ": the log does not extend what this checkpoint seals; nothing was signed"));
    return cli::Exit::kReject;
  }
  const seal::Checkpoint& c = made.checkpoint;
  if (!made.closed) cli::warn("the log is open: it has no final leaf yet, and verifying it will reject it");
  if (args.json)
    cli::print_json({{"origin", c.origin}, {"size", c.size}, {"root", to_hex(c.root)}});
  else
    cli::print(cat("sealed ", c.size, " leaves of ", c.origin, "\nroot ", to_hex(c.root), '\n'));
  return cli::Exit::kDone;
}

}  // namespace
}  // namespace aftune

int main(int argc, char** argv) {
  return aftune::cli::run<aftune::Args>("aftune-commit", "Seals a trace: signs the root of its log.",
                                        aftune::flags, aftune::commit, argc, argv);
}
