#include "seal/key_file.h"

#include <sodium.h>

#include <array>
#include <cstring>

#include "base/error.h"
#include "seal/lines.h"

namespace aftune::seal {
namespace {

constexpr std::string_view kPlainPrefix = "PRIVATE+KEY+";
constexpr std::string_view kEncryptedHeader = "aftune-secret-key/1";
constexpr std::size_t kSeedBytes = crypto_sign_SEEDBYTES;
constexpr std::size_t kSealedBytes = kSeedBytes + crypto_aead_xchacha20poly1305_ietf_ABYTES;
static_assert(kSeedBytes == 32 && crypto_aead_xchacha20poly1305_ietf_KEYBYTES == 32);

// 32 secret bytes that are wiped when they go.
struct Secret32 {
  std::array<std::uint8_t, 32> bytes{};
  Secret32() = default;
  Secret32(const Secret32&) = delete;
  Secret32& operator=(const Secret32&) = delete;
  ~Secret32() { ::sodium_memzero(bytes.data(), bytes.size()); }
};

// Wipes a string or vector that held a secret, however the scope is left.
template <class Container>
class Wiped {
 public:
  explicit Wiped(Container held) : held_(std::move(held)) {}
  Wiped(const Wiped&) = delete;
  Wiped& operator=(const Wiped&) = delete;
  ~Wiped() { ::sodium_memzero(held_.data(), held_.size()); }
  const Container& operator*() const { return held_; }

 private:
  Container held_;
};

const unsigned char* raw(ByteView bytes) {
  return reinterpret_cast<const unsigned char*>(bytes.data());
}

void stretch(std::string_view passphrase, ByteView salt, const KdfCost& cost, Secret32& key) {
  if (::crypto_pwhash(key.bytes.data(), key.bytes.size(), passphrase.data(), passphrase.size(), raw(salt),
                      cost.passes, static_cast<std::size_t>(cost.memory_bytes),
                      crypto_pwhash_ALG_ARGON2ID13) != 0)
    fail(Fault::kSystem, "no memory to stretch the passphrase: it takes ", cost.memory_bytes, " bytes");
}

ByteView random_view(std::span<std::byte> out) {
  ::randombytes_buf(out.data(), out.size());
  return out;
}

Bytes exact_base64(std::string_view text, std::size_t size, std::string_view what) {
  Bytes out = within(what, [&] { return from_base64(text); });
  if (out.size() != size) fail(Fault::kEvidence, what, ": ", out.size(), " bytes instead of ", size);
  return out;
}

SecretKey from_seed(std::string_view name, ByteView seed, KeyUse use) {
  Secret32 copy;
  std::memcpy(copy.bytes.data(), seed.data(), copy.bytes.size());
  return SecretKey::from_seed(std::string(name), copy.bytes, use);
}

SecretKey from_plain(std::string_view line) {
  if (line.ends_with('\n')) line.remove_suffix(1);
  line.remove_prefix(kPlainPrefix.size());
  const std::size_t first = line.find('+');
  const std::size_t second = first == line.npos ? line.npos : line.find('+', first + 1);
  if (second == line.npos) fail(Fault::kEvidence, "a secret key is not PRIVATE+KEY+<name>+<id>+<key>");
  const Wiped<Bytes> typed(exact_base64(line.substr(second + 1), 1 + kSeedBytes, "secret key"));
  const auto use = use_of((*typed)[0]);
  if (!use) fail(Fault::kEvidence, "a secret key is not of type Ed25519");
  SecretKey key = from_seed(line.substr(0, first), ByteView(*typed).subspan(1), *use);
  if (u64_hex(key.public_key().id()).substr(8) != line.substr(first + 1, second - first - 1))
    fail(Fault::kEvidence, "a secret key does not belong to its name and ID");
  return key;
}

KdfCost read_cost(std::string_view text) {
  const std::size_t space = text.find(' ');
  if (space == text.npos) fail(Fault::kEvidence, "a key file's argon2id line has not two numbers");
  const KdfCost cost{decimal_from_text(text.substr(0, space), "a key file's number of passes"),
                     decimal_from_text(text.substr(space + 1), "a key file's memory size")};
  if (cost.passes < crypto_pwhash_OPSLIMIT_MIN || cost.passes > kMostKdfCost.passes)
    fail(Fault::kEvidence, "a key file asks for ", cost.passes, " passes, not within 1 and ",
         kMostKdfCost.passes);
  if (cost.memory_bytes < crypto_pwhash_MEMLIMIT_MIN || cost.memory_bytes > kMostKdfCost.memory_bytes)
    fail(Fault::kEvidence, "a key file asks for ", cost.memory_bytes, " bytes of memory, not within ",
         crypto_pwhash_MEMLIMIT_MIN, " and ", kMostKdfCost.memory_bytes);
  return cost;
}

SecretKey from_encrypted(std::string_view text, const std::function<std::string()>& ask) {
  Lines lines(text, "a key file");
  if (lines.next() != kEncryptedHeader) fail(Fault::kEvidence, "not a key file of this version");
  const PublicKey stated = PublicKey::parse_any(lines.after("vkey"));
  const KdfCost cost = read_cost(lines.after("argon2id"));
  const Bytes salt = exact_base64(lines.after("salt"), crypto_pwhash_SALTBYTES, "salt");
  const Bytes nonce =
      exact_base64(lines.after("nonce"), crypto_aead_xchacha20poly1305_ietf_NPUBBYTES, "nonce");
  const std::string_view bound = text.substr(0, text.size() - lines.rest().size());
  const Bytes sealed = exact_base64(lines.after("sealed"), kSealedBytes, "sealed");
  if (!lines.at_end()) fail(Fault::kEvidence, "a key file has text after its last line");

  Secret32 key, seed;
  {
    const Wiped<std::string> passphrase(ask());
    stretch(*passphrase, salt, cost, key);
  }
  if (::crypto_aead_xchacha20poly1305_ietf_decrypt(seed.bytes.data(), nullptr, nullptr, raw(sealed),
                                                   sealed.size(), raw(as_bytes(bound)), bound.size(),
                                                   raw(nonce), key.bytes.data()) != 0)
    fail(Fault::kUsage, "wrong passphrase, or the key file was altered");
  SecretKey out = SecretKey::from_seed(stated.name(), seed.bytes, stated.use());
  if (out.public_key().key() != stated.key())
    fail(Fault::kEvidence, "a secret key does not belong to its vkey");
  return out;
}

}  // namespace

std::string plain_key_text(const PublicKey& key, ByteView seed) {
  Bytes typed(1 + kSeedBytes);
  typed[0] = static_cast<std::byte>(key.use());
  std::memcpy(typed.data() + 1, seed.data(), kSeedBytes);
  const Wiped<Bytes> held(std::move(typed));
  const Wiped<std::string> encoded(to_base64(*held));
  const std::string known = cat(kPlainPrefix, key.name(), '+', u64_hex(key.id()).substr(8), '+');
  // One allocation, so that no copy is left behind; the caller wipes this one.
  std::string out;
  out.reserve(known.size() + (*encoded).size() + 1);
  return std::move(out.append(known).append(*encoded).append("\n"));
}

std::string encrypted_key_text(const PublicKey& key, ByteView seed, std::string_view passphrase,
                               const KdfCost& cost) {
  std::array<std::byte, crypto_pwhash_SALTBYTES> salt;
  std::array<std::byte, crypto_aead_xchacha20poly1305_ietf_NPUBBYTES> nonce;
  const std::string bound =
      cat(kEncryptedHeader, "\nvkey ", key.vkey(), "\nargon2id ", cost.passes, ' ', cost.memory_bytes,
          "\nsalt ", to_base64(random_view(salt)), "\nnonce ", to_base64(random_view(nonce)), '\n');
  Secret32 stretched;
  stretch(passphrase, salt, cost, stretched);
  std::array<std::byte, kSealedBytes> sealed;
  ::crypto_aead_xchacha20poly1305_ietf_encrypt(reinterpret_cast<unsigned char*>(sealed.data()), nullptr,
                                               raw(seed), seed.size(), raw(as_bytes(bound)), bound.size(),
                                               nullptr, raw(nonce), stretched.bytes.data());
  return cat(bound, "sealed ", to_base64(sealed), '\n');
}

SecretKey secret_key_from_text(std::string_view text, const std::function<std::string()>& passphrase) {
  if (text.starts_with(kPlainPrefix)) return from_plain(text);
  if (text.starts_with("aftune-secret-key/")) return from_encrypted(text, passphrase);
  fail(Fault::kEvidence, "not a secret key");
}

}  // namespace aftune::seal
