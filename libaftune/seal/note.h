#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "seal/keys.h"

namespace aftune::seal {

/// Of a signed note. Files that hold one are read up to here.
inline constexpr std::size_t kMaxNoteBytes = std::size_t{64} << 10;
/// Of a file with a proof and the note that it is of.
inline constexpr std::size_t kMaxProofBytes = 2 * kMaxNoteBytes;

/// One signature line of a C2SP signed note.
struct NoteSignature {
  std::string name;
  std::uint32_t id = 0;
  Bytes signature;  ///< the blob after the key ID
};

/// A C2SP signed note: text that ends in LF, and signatures over exactly that text.
struct Note {
  std::string text;
  std::vector<NoteSignature> signatures;

  /// Strict (standards: signed note); at most 64 signature lines and 64 KiB. Throws Error{kEvidence}.
  static Note parse(std::string_view note);
  std::string to_text() const;
};

/// The body of a C2SP tlog-checkpoint.
struct Checkpoint {
  std::string origin;
  std::uint64_t size = 0;
  Digest root;

  static Checkpoint parse(std::string_view text);  ///< of Note::text. Throws Error{kEvidence}
  std::string to_text() const;
};

enum class NoteCheck {
  kValid,
  kNoSignature,   ///< no line by this key
  kBadSignature,  ///< a line by this key's name and ID that does not verify
};
[[nodiscard]] NoteCheck check_note(const Note& note, const PublicKey& key);

/// `text` is one or more lines, each ended by LF.
Note sign_text(std::string text, const SecretKey& key);
/// Throws Error{kUsage} if the key is for another use, or the origin is not one line of text.
Note sign_checkpoint(const Checkpoint& checkpoint, const SecretKey& key);
/// Throws Error{kUsage} if the key is not for this use.
void require_use(const PublicKey& key, KeyUse use);

/// C2SP tlog-proof text of one leaf: index, proof, and the checkpoint note verbatim.
struct LeafProof {
  std::uint64_t index = 0;
  std::vector<Digest> proof;
  std::string note;
  std::string to_text() const;
  static LeafProof parse(std::string_view text);
};

/// The proof that the log of `note` begins with the `old_size` leaves that an earlier checkpoint seals, in
/// the form of the body of a C2SP tlog-witness add-checkpoint request: "old <size>", the hashes, an empty
/// line, the note.
struct ConsistencyProof {
  std::uint64_t old_size = 0;
  std::vector<Digest> proof;
  std::string note;
  std::string to_text() const;
  /// At most 63 hashes. Throws Error{kEvidence}.
  static ConsistencyProof parse(std::string_view text);
};

/// Why `proof` does not show that the log of `extended` begins with that of `old`; empty if it does. An `old`
/// of size 0 proves nothing and is refused.
[[nodiscard]] std::string extension_problem(const Checkpoint& old, const Checkpoint& extended,
                                            const std::vector<Digest>& proof);

}  // namespace aftune::seal
