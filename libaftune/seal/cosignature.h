#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "seal/keys.h"
#include "seal/note.h"

// Witnesses: others who saw a checkpoint and say when (C2SP tlog-cosignature v1, docs/seal.md,
// "Cosignatures").
namespace aftune::seal {

/// What C2SP allows a cosignature to state, in seconds since 1970.
inline constexpr std::uint64_t kLatestTime = (std::uint64_t{1} << 63) - 1;

/// One signature line by a witness that was asked about.
struct Cosignature {
  std::string name;
  std::uint64_t time = 0;  ///< as stated; 0 if the line is too malformed to state one
  bool valid = false;
};

/// The lines of `note` by any of `witnesses`, in the note's order. Lines of others are ignored.
std::vector<Cosignature> check_cosignatures(const Note& note, const std::vector<PublicKey>& witnesses);

/// How many different witnesses have a valid line. One witness counts once, however many lines or names it
/// has.
int count_witnesses(const Note& note, const std::vector<PublicKey>& witnesses);

/// Witnesses' vkeys. Throws Error{kUsage} for a vkey that is no witness's, and for two with the same key
/// bytes: the message that is signed does not say the name, so both would count for one signature.
std::vector<PublicKey> parse_witnesses(const std::vector<std::string>& vkeys);

/// The line to add to `note`, whose text must be a checkpoint. Ed25519 is deterministic: the same time gives
/// the same line. Throws Error{kUsage} unless the key is a witness's and time <= kLatestTime.
NoteSignature cosign(const Note& note, const SecretKey& witness, std::uint64_t time);

}  // namespace aftune::seal
