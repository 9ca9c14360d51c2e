#include "record/salts.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "base/error.h"
#include "hash/blake3.h"

namespace aftune::record {
namespace {

constexpr std::string_view kHide = "aftune/hide/1";
constexpr std::string_view kSecretCheck = "aftune/hiding-key/1";
constexpr std::int64_t kStateZeroLeaf = 1;

constexpr std::array<std::string_view, 14> kRoles = {
    "data",      "eval",    "layout",   "tokens", "labels",  "activation", "gradient",
    "parameter", "moments", "exported", "file",   "request", "prompt",     "answer"};

void append(Bytes& bytes, std::string_view text) {
  const ByteView view = as_bytes(text);
  bytes.insert(bytes.end(), view.begin(), view.end());
}

void append(Bytes& bytes, std::int64_t value) {
  for (int i = 0; i < 8; ++i) bytes.push_back(static_cast<std::byte>(value >> 8 * i & 0xff));
}

// Takes a number without sign or leading zeros, and the slash after it, off the front.
bool take_number(std::string_view& text) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const auto digits = static_cast<std::size_t>(end - text.data());
  if (error != std::errc() || value < 0 || digits == text.size() || *end != '/') return false;
  if (text.front() == '-' || (text.front() == '0' && digits > 1)) return false;
  text.remove_prefix(digits + 1);
  return true;
}

}  // namespace

std::string_view name(Role role) {
  return kRoles.at(static_cast<std::size_t>(role));
}

std::string to_text(const SaltName& salt) {
  return cat(salt.leaf, '/', name(salt.role), '/', salt.index, '/', salt.name);
}

bool is_salt_name(std::string_view text) {
  if (!take_number(text)) return false;
  const std::size_t role = text.substr(0, text.find('/')).size();
  if (std::find(kRoles.begin(), kRoles.end(), text.substr(0, role)) == kRoles.end()) return false;
  if (role == text.size()) return false;
  text.remove_prefix(role + 1);
  return take_number(text);
}

Digest secret_check(const RunSecret& secret) {
  return hash::blake3_derive_key(kSecretCheck, as_bytes(secret));
}

Digest SecretSalts::salt(const SaltName& salt) const {
  Bytes bytes;
  append(bytes, salt.leaf);
  append(bytes, name(salt.role));
  bytes.push_back(std::byte{0});
  append(bytes, salt.index);
  append(bytes, salt.name);
  return hash::blake3_keyed(secret_, bytes);
}

Digest hidden(const Digest& salt, const Digest& digest) {
  Bytes bytes;
  append(bytes, kHide);
  for (const Digest* part : {&salt, &digest}) {
    const ByteView view = as_bytes(*part);
    bytes.insert(bytes.end(), view.begin(), view.end());
  }
  return hash::blake3(bytes);
}

Digest published(const Salts* salts, const SaltName& name, const Digest& digest) {
  return salts == nullptr ? digest : hidden(salts->salt(name), digest);
}

PublishedBlock publish_block(const BlockState& state, const Salts* salts, std::int64_t leaf, int block) {
  if (leaf == kStateZeroLeaf) salts = nullptr;
  PublishedBlock out;
  for (std::size_t i = 0; i < state.parameters.size(); ++i)
    out.parameters.push_back(published(salts, {leaf, Role::kParameter, block, state.parameter_specs[i].name},
                                       state.parameters[i]));
  out.moments =
      published(salts, {leaf, Role::kMoments, block}, list_digest(state.moment_specs, state.moments));
  out.digest = block_digest(list_digest(state.parameter_specs, out.parameters), out.moments);
  return out;
}

bool holds_weights(std::string_view file) {
  return file.ends_with(".safetensors");
}

}  // namespace aftune::record
