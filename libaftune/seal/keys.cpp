#include "seal/keys.h"

#include <sodium.h>

#include <cstring>

#include "base/error.h"
#include "hash/merkle.h"
#include "seal/key_file.h"

namespace aftune::seal {
namespace {

constexpr std::size_t kMaxNameBytes = 255;
constexpr std::uint64_t kMaxKeyFileBytes = 4096;

void start_sodium() {
  if (::sodium_init() < 0) fail(Fault::kSystem, "libsodium could not be started");
}

// The next code point of well-formed UTF-8.
std::uint32_t next_code_point(std::string_view& text) {
  const auto lead = static_cast<unsigned char>(text.front());
  const std::size_t size = lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
  std::uint32_t code = size == 1 ? lead : lead & (0x7fu >> size);
  for (std::size_t i = 1; i < size; ++i) code = code << 6 | (static_cast<unsigned char>(text[i]) & 0x3fu);
  text.remove_prefix(size);
  return code;
}

// Unicode's White_Space property, less the controls.
bool is_space(std::uint32_t code) {
  return code == 0x20 || code == 0xa0 || code == 0x1680 || (code >= 0x2000 && code <= 0x200a) ||
         code == 0x2028 || code == 0x2029 || code == 0x202f || code == 0x205f || code == 0x3000;
}

bool is_control(std::uint32_t code) {
  return code < 0x20 || (code >= 0x7f && code < 0xa0);
}

// Why the text is no key name; null if it is one.
const char* name_problem(std::string_view name) {
  if (name.empty()) return "a key name is empty";
  if (name.size() > kMaxNameBytes) return "a key name is longer than 255 bytes";
  if (!is_utf8(name)) return "a key name is not UTF-8";
  while (!name.empty()) {
    const std::uint32_t code = next_code_point(name);
    if (code == '+') return "a key name has a \"+\"";
    if (is_space(code)) return "a key name has a space";
    if (is_control(code)) return "a key name has a control character";
  }
  return nullptr;
}

Bytes typed_key(KeyUse use, ByteView key) {
  Bytes out(1 + key.size());
  out[0] = static_cast<std::byte>(use);
  std::memcpy(out.data() + 1, key.data(), key.size());
  return out;
}

std::uint32_t key_id(std::string_view name, KeyUse use, ByteView key) {
  const Bytes typed = typed_key(use, key);
  const std::string input = cat(name, '\n', as_text(typed));
  const Digest digest = hash::sha256(as_bytes(input));
  std::uint32_t id = 0;
  for (int i = 0; i < 4; ++i) id = id << 8 | digest.bytes[static_cast<std::size_t>(i)];
  return id;
}

}  // namespace

std::optional<KeyUse> use_of(std::byte type) {
  for (const KeyUse use : {KeyUse::kLog, KeyUse::kWitness})
    if (type == static_cast<std::byte>(use)) return use;
  return std::nullopt;
}

void check_key_name(std::string_view name) {
  if (const char* problem = name_problem(name)) fail(Fault::kUsage, problem);
}

PublicKey::PublicKey(std::string name, const std::array<std::uint8_t, 32>& key, KeyUse use)
    : name_(std::move(name)), key_(key), use_(use), id_(key_id(name_, use, std::as_bytes(std::span(key)))) {
  check_key_name(name_);
}

PublicKey PublicKey::parse_any(std::string_view vkey) {
  if (vkey.ends_with('\n')) vkey.remove_suffix(1);
  const std::size_t first = vkey.find('+');
  const std::size_t second = first == vkey.npos ? vkey.npos : vkey.find('+', first + 1);
  if (second == vkey.npos) fail(Fault::kEvidence, "a public key is not of the form <name>+<id>+<key>");
  const std::string_view name = vkey.substr(0, first), id = vkey.substr(first + 1, second - first - 1);
  if (const char* problem = name_problem(name)) fail(Fault::kEvidence, problem);
  const Bytes raw = within("public key", [&] { return from_base64(vkey.substr(second + 1)); });
  const auto use = raw.empty() ? std::nullopt : use_of(raw[0]);
  if (!use) fail(Fault::kEvidence, "a public key is not of type Ed25519");
  if (raw.size() != 33)
    fail(Fault::kEvidence, "an Ed25519 public key has ", raw.size() - 1, " bytes instead of 32");
  std::array<std::uint8_t, 32> key;
  std::memcpy(key.data(), raw.data() + 1, key.size());
  start_sodium();
  if (::crypto_core_ed25519_is_valid_point(key.data()) != 1)
    fail(Fault::kEvidence, "a public key is not a point of Ed25519");
  PublicKey out(std::string(name), key, *use);
  const Bytes stated = within("a public key's ID", [&] { return from_hex(id); });
  if (const std::string expected = u64_hex(out.id_).substr(8); to_hex(stated) != expected)
    fail(Fault::kEvidence, "a public key's ID is \"", id.substr(0, 8), "\", but its name and key give ",
         expected);
  return out;
}

PublicKey PublicKey::parse(std::string_view vkey, KeyUse use) {
  PublicKey key = parse_any(vkey);
  if (key.use() != use)
    fail(Fault::kEvidence, "the key of ", key.name(), " is ",
         use == KeyUse::kLog ? "a witness's, not a log's" : "a log's, not a witness's");
  return key;
}

PublicKey PublicKey::read(const fs::path& path, KeyUse use) {
  return as_usage([&] {
    const std::string text = read_file(path, kMaxKeyFileBytes);
    return within(path.native(), [&] { return parse(text, use); });
  });
}

std::string PublicKey::vkey() const {
  return cat(name_, '+', u64_hex(id_).substr(8), '+',
             to_base64(typed_key(use_, std::as_bytes(std::span(key_)))));
}

bool PublicKey::verify(ByteView message, const Signature& signature) const {
  return ::crypto_sign_verify_detached(signature.data(),
                                       reinterpret_cast<const unsigned char*>(message.data()), message.size(),
                                       key_.data()) == 0;
}

void SecretKey::Wipe::operator()(std::uint8_t* secret) const {
  ::sodium_free(secret);
}

SecretKey SecretKey::from_seed(std::string name, const std::array<std::uint8_t, 32>& seed, KeyUse use) {
  check_key_name(name);
  start_sodium();
  // Guarded pages of their own, locked against swapping, wiped by sodium_free.
  Secret secret(static_cast<std::uint8_t*>(::sodium_malloc(crypto_sign_SECRETKEYBYTES)));
  if (secret == nullptr) fail(Fault::kSystem, "no locked memory for a secret key");
  std::array<std::uint8_t, 32> key;
  ::crypto_sign_seed_keypair(key.data(), secret.get(), seed.data());
  ::sodium_mprotect_readonly(secret.get());
  return SecretKey(PublicKey(std::move(name), key, use), std::move(secret));
}

SecretKey SecretKey::generate(std::string name, KeyUse use) {
  start_sodium();
  std::array<std::uint8_t, 32> seed;
  ::randombytes_buf(seed.data(), seed.size());
  SecretKey out = from_seed(std::move(name), seed, use);
  ::sodium_memzero(seed.data(), seed.size());
  return out;
}

SecretKey SecretKey::parse(std::string_view text, const std::function<std::string()>& passphrase) {
  start_sodium();
  return as_usage([&] { return secret_key_from_text(text, passphrase); });
}

SecretKey SecretKey::read(const fs::path& path, const std::function<std::string()>& passphrase) {
  std::string text = as_usage([&] { return read_file(path, kMaxKeyFileBytes); });
  const auto wipe = [](std::string* t) { ::sodium_memzero(t->data(), t->size()); };
  const std::unique_ptr<std::string, decltype(wipe)> wiped(&text, wipe);
  return within(path.native(), [&] { return parse(text, passphrase); });
}

Signature SecretKey::sign(ByteView message) const {
  Signature signature;
  ::crypto_sign_detached(signature.data(), nullptr, reinterpret_cast<const unsigned char*>(message.data()),
                         message.size(), secret_.get());
  return signature;
}

std::string SecretKey::to_text(std::string_view passphrase) const {
  const ByteView seed = std::as_bytes(std::span(secret_.get(), 32));
  return passphrase.empty() ? plain_key_text(public_, seed) : encrypted_key_text(public_, seed, passphrase);
}

}  // namespace aftune::seal
