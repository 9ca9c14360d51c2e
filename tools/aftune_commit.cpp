// Seals a trace: signs the root of its log. As a witness, cosigns the checkpoint of another.

#include "audit/cosigning.h"
#include "base/error.h"
#include "cli/cli.h"
#include "trace/commit.h"

namespace aftune {
namespace {

constexpr std::uint64_t kMaxNote = std::uint64_t{1} << 16;
constexpr std::uint64_t kMaxProof = std::uint64_t{1} << 17;

struct Args {
  fs::path trace, key, since, consistency, cosigned, pubkey, known;
  bool rehash = false, json = false;
  std::int64_t time = -1;
};

void flags(CLI::App& app, Args& args) {
  cli::trace(app, args.trace);
  cli::key(app, args.key).required();
  cli::since(app, args.since);
  cli::consistency(app, args.consistency);
  cli::toggle(app, "--rehash", args.rehash, "hash the lines that are sealed already, too");
  cli::path(app, "--cosign", "FILE", args.cosigned,
            "add a witness's line to this signed note; no trace is sealed");
  cli::pubkey(app, args.pubkey);
  cli::integer(app, "--time", args.time,
               "time that the cosignature states, in seconds since 1970; now if not given", 0,
               kMaxJsonInteger);
  cli::known(app, args.known);
  cli::json(app, args.json);
}

void require_consistent(const Args& args) {
  const auto wrong = [](const char* why) { fail(Fault::kUsage, why, "; hint: see aftune-commit --help"); };
  if (args.cosigned.empty()) {
    if (args.trace.empty()) wrong("--trace is required");
    if (args.time >= 0 || !args.known.empty() || !args.pubkey.empty())
      wrong("--time, --known and --pubkey go with --cosign");
    if (args.since.empty() != args.consistency.empty()) wrong("--since and --consistency go together");
    return;
  }
  if (!args.trace.empty() || !args.since.empty() || args.rehash)
    wrong("--trace, --since and --rehash do not go with --cosign");
  if (!args.consistency.empty() && args.known.empty()) wrong("--consistency with --cosign needs --known");
}

seal::SecretKey read_key(const Args& args) {
  return seal::SecretKey::read(args.key, [] { return cli::ask_passphrase("passphrase"); });
}

// The proof must not take the place of what it is about.
void require_apart(const Args& args) {
  for (const fs::path& input :
       {args.since, trace::Layout{args.trace}.checkpoint(), trace::Layout{args.trace}.log()}) {
    std::error_code absent;
    if (fs::equivalent(args.consistency, input, absent))
      fail(Fault::kUsage, "--consistency: ", args.consistency.native(), " is the same file as ",
           input.native());
  }
}

cli::Exit seal(const Args& args) {
  if (!args.consistency.empty()) require_apart(args);
  trace::CommitOptions options{.since = std::nullopt, .rehash = args.rehash};
  if (!args.since.empty()) options.since = args.since;
  const trace::Commitment made = trace::commit({args.trace}, read_key(args), options);
  if (!made.problem.empty()) {
    cli::complain(made.problem);
    return cli::Exit::kReject;
  }
  if (made.consistency) write_file(args.consistency, made.consistency->to_text());
  const seal::Checkpoint& c = made.checkpoint;
  if (!made.closed && !made.serving)
    cli::warn("the log is open: it has no final leaf yet, and verifying it will reject it");
  if (args.json)
    cli::print_json({{"origin", c.origin}, {"size", c.size}, {"root", to_hex(c.root)}});
  else
    cli::print(cat("sealed ", c.size, " leaves of ", c.origin, "\nroot ", to_hex(c.root), '\n'));
  return cli::Exit::kDone;
}

audit::CosignRequest request_of(const Args& args) {
  audit::CosignRequest request{.note = read_file(args.cosigned, kMaxNote), .log_key = {}, .consistency = {}};
  if (!args.pubkey.empty()) request.log_key = seal::PublicKey::read(args.pubkey);
  if (!args.consistency.empty()) {
    const std::string text = read_file(args.consistency, kMaxProof);
    request.consistency =
        within(args.consistency.native(), [&] { return seal::ConsistencyProof::parse(text); });
  }
  request.time = static_cast<std::uint64_t>(args.time >= 0 ? args.time : cli::current_time(kMaxJsonInteger));
  return request;
}

cli::Exit cosign(const Args& args) {
  const audit::CosignRequest request = request_of(args);
  const seal::SecretKey key = read_key(args);
  std::optional<audit::KnownNotes> known;
  if (!args.known.empty()) known.emplace(args.known);
  const audit::Cosigned made =
      within(args.cosigned.native(), [&] { return audit::cosign(request, key, known ? &*known : nullptr); });
  if (!made.problem.empty()) {
    cli::complain(cat(args.cosigned.native(), ": ", made.problem, "; nothing was signed"));
    return cli::Exit::kReject;
  }
  write_file(args.cosigned, made.note);
  const seal::Checkpoint& c = made.checkpoint;
  const std::string& name = key.public_key().name();
  if (args.json)
    cli::print_json({{"origin", c.origin},
                     {"size", c.size},
                     {"root", to_hex(c.root)},
                     {"witness", name},
                     {"time", request.time}});
  else
    cli::print(
        cat("cosigned ", c.size, " leaves of ", c.origin, " as ", name, "\nroot ", to_hex(c.root), '\n'));
  return cli::Exit::kDone;
}

cli::Exit commit(const Args& args) {
  require_consistent(args);
  return args.cosigned.empty() ? seal(args) : cosign(args);
}

}  // namespace
}  // namespace aftune

int main(int argc, char** argv) {
  return aftune::cli::run<aftune::Args>("aftune-commit", "Seals a trace: signs the root of its log.",
                                        aftune::flags, aftune::commit, argc, argv);
}
