// Makes and shows Ed25519 signing keys.

#include "base/error.h"
#include "cli/cli.h"
#include "seal/keys.h"

namespace aftune {
namespace {

struct Args {
  bool generate = false;
  std::string name;
  fs::path out;
  bool no_passphrase = false;
  bool witness = false;
  fs::path shown;
  bool json = false;
};

void flags(CLI::App& app, Args& args) {
  CLI::App& generate = cli::command(app, "generate", "make a key pair: PREFIX.key (secret) and PREFIX.vkey",
                                    [&args] { args.generate = true; });
  cli::text(generate, "--name", "NAME", args.name, "who the key speaks for, for example audit.example/acme")
      .required();
  cli::out(generate, args.out, "PREFIX", "names of the two files without their suffix").required();
  cli::toggle(generate, "--witness", args.witness, "a key that cosigns the checkpoints of others");
  cli::toggle(generate, "--no-passphrase", args.no_passphrase, "write the secret key unencrypted");
  cli::json(generate, args.json);
  CLI::App& show = cli::command(app, "show", "print the public key of a key file, secret or public");
  cli::positional(show, "file", "FILE", args.shown, "a .key or .vkey file").required();
  cli::json(show, args.json);
}

void print_key(const seal::PublicKey& key, bool json) {
  const std::string vkey = key.vkey();
  if (!json) return cli::print(vkey + "\n");
  // name+id+key; a name holds no '+'.
  const std::string id = vkey.substr(key.name().size() + 1, 8);
  cli::print_json({{"name", key.name()}, {"id", id}, {"vkey", vkey}});
}

std::string new_passphrase() {
  const std::string passphrase = cli::ask_passphrase("passphrase for the new key");
  if (passphrase.empty())
    fail(Fault::kUsage, "an empty passphrase; use --no-passphrase for an unencrypted key");
  if (cli::ask_passphrase("the same again") != passphrase) fail(Fault::kUsage, "the passphrases differ");
  return passphrase;
}

fs::path with_suffix(const fs::path& prefix, const char* suffix) {
  return fs::path(prefix.native() + suffix);
}

cli::Exit generate(const Args& args) {
  const fs::path secret = with_suffix(args.out, ".key"), shared = with_suffix(args.out, ".vkey");
  for (const fs::path& path : {secret, shared})
    if (fs::exists(fs::symlink_status(path)))
      fail(Fault::kUsage, path.native(), ": exists; keys are not overwritten");
  seal::check_key_name(args.name);
  const seal::SecretKey key =
      seal::SecretKey::generate(args.name, args.witness ? seal::KeyUse::kWitness : seal::KeyUse::kLog);
  const std::string passphrase = args.no_passphrase ? "" : new_passphrase();
  write_file(secret, key.to_text(passphrase), 0600);
  write_file(shared, key.public_key().vkey() + "\n");
  print_key(key.public_key(), args.json);
  return cli::Exit::kDone;
}

cli::Exit show(const Args& args) {
  constexpr std::uint64_t kMaxKeyFile = 65536;
  const std::string text = cli::read_input(args.shown, kMaxKeyFile);
  const bool secret = text.starts_with("PRIVATE+KEY+") || text.starts_with("aftune-secret-key/");
  const auto passphrase = [] { return cli::ask_passphrase("passphrase"); };
  const auto key = within(args.shown.native(), [&] {
    return secret ? seal::SecretKey::parse(text, passphrase).public_key() : seal::PublicKey::parse_any(text);
  });
  print_key(key, args.json);
  return cli::Exit::kDone;
}

cli::Exit run(const Args& args) {
  return args.generate ? generate(args) : show(args);
}

}  // namespace
}  // namespace aftune

int main(int argc, char** argv) {
  return aftune::cli::run<aftune::Args>("aftune-key",
                                        "Makes and shows Ed25519 signing keys (C2SP vkey text).",
                                        aftune::flags, aftune::run, argc, argv);
}
