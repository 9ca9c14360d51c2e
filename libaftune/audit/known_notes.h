#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/files.h"
#include "seal/note.h"

namespace aftune::audit {

/// A signed note that was seen before.
struct KnownNote {
  seal::Note note;
  seal::Checkpoint checkpoint;
};

/// The notes that an auditor has judged, or a witness cosigned: its memory, without which it could be shown
/// another history each time. A file that only grows (docs/seal.md, "Known notes"), held locked.
class KnownNotes {
 public:
  /// Creates the file, mode 0600, if it is absent, and cuts an entry whose writing was cut off. Throws
  /// Error{kUsage} if another process uses the file or if it is not of this form.
  explicit KnownNotes(const fs::path& path);

  const std::vector<KnownNote>& notes() const { return notes_; }
  /// Of these, the ones of this log that seal the most leaves; nullptr if there is none.
  const KnownNote* latest(const std::string& origin) const;
  /// Appends the note and syncs, unless one with the same text is there. Throws Error{kEvidence} if it is no
  /// checkpoint, Error{kSystem} if it cannot be written.
  void add(std::string_view note);

 private:
  fs::path path_;
  FileLock lock_;
  std::vector<KnownNote> notes_;
};

}  // namespace aftune::audit
