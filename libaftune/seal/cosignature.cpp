#include "seal/cosignature.h"

#include <algorithm>
#include <cstring>
#include <set>

#include "base/error.h"

namespace aftune::seal {
namespace {

constexpr std::size_t kTimeBytes = 8;

std::string cosigned_message(std::uint64_t time, std::string_view checkpoint) {
  return cat("cosignature/v1\ntime ", time, '\n', checkpoint);
}

Cosignature check_line(const Note& note, const NoteSignature& line, const PublicKey& witness) {
  Cosignature out{.name = witness.name()};
  Signature signature;
  if (line.signature.size() != kTimeBytes + signature.size()) return out;
  for (std::size_t i = 0; i < kTimeBytes; ++i)
    out.time = out.time << 8 | std::to_integer<std::uint64_t>(line.signature[i]);
  std::memcpy(signature.data(), line.signature.data() + kTimeBytes, signature.size());
  const std::string message = cosigned_message(out.time, note.text);
  out.valid = out.time <= kLatestTime && witness.verify(as_bytes(message), signature);
  return out;
}

const PublicKey* signer_of(const NoteSignature& line, const std::vector<PublicKey>& witnesses) {
  const auto found = std::find_if(witnesses.begin(), witnesses.end(), [&](const PublicKey& key) {
    return key.use() == KeyUse::kWitness && key.name() == line.name && key.id() == line.id;
  });
  return found == witnesses.end() ? nullptr : &*found;
}

}  // namespace

std::vector<Cosignature> check_cosignatures(const Note& note, const std::vector<PublicKey>& witnesses) {
  std::vector<Cosignature> out;
  for (const NoteSignature& line : note.signatures)
    if (const PublicKey* witness = signer_of(line, witnesses))
      out.push_back(check_line(note, line, *witness));
  return out;
}

int count_witnesses(const Note& note, const std::vector<PublicKey>& witnesses) {
  std::set<std::array<std::uint8_t, 32>> seen;
  for (const NoteSignature& line : note.signatures) {
    const PublicKey* witness = signer_of(line, witnesses);
    if (witness != nullptr && check_line(note, line, *witness).valid) seen.insert(witness->key());
  }
  return static_cast<int>(seen.size());
}

std::vector<PublicKey> parse_witnesses(const std::vector<std::string>& vkeys) {
  std::vector<PublicKey> out;
  for (const std::string& vkey : vkeys) {
    try {
      out.push_back(PublicKey::parse(vkey, KeyUse::kWitness));
    } catch (const Error& e) {
      fail(Fault::kUsage, "witness: ", e.what());
    }
    for (std::size_t i = 0; i + 1 < out.size(); ++i)
      if (out[i].key() == out.back().key())
        fail(Fault::kUsage, "witnesses ", out[i].name(), " and ", out.back().name(), " have one key");
  }
  return out;
}

NoteSignature cosign(const Note& note, const SecretKey& witness, std::uint64_t time) {
  require_use(witness.public_key(), KeyUse::kWitness);
  if (time > kLatestTime) fail(Fault::kUsage, "a cosignature's time is after 2^63 - 1");
  static_cast<void>(Checkpoint::parse(note.text));
  NoteSignature line{witness.public_key().name(), witness.public_key().id(), {}};
  for (int shift = 56; shift >= 0; shift -= 8)
    line.signature.push_back(static_cast<std::byte>(time >> shift & 255));
  const Signature signature = witness.sign(as_bytes(cosigned_message(time, note.text)));
  const auto bytes = std::as_bytes(std::span(signature));
  line.signature.insert(line.signature.end(), bytes.begin(), bytes.end());
  return line;
}

}  // namespace aftune::seal
