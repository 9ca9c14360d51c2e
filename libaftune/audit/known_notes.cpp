#include "audit/known_notes.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>

#include "base/error.h"
#include "seal/lines.h"

namespace aftune::audit {
namespace {

constexpr std::string_view kHeader = "aftune-known/1\n";
constexpr std::string_view kEntry = "note ";
constexpr std::size_t kMaxSizeDigits = 5;  // a note has at most 65536 bytes
constexpr std::uint64_t kMaxKnownBytes = std::uint64_t{1} << 28;

[[noreturn]] void fail_errno(const fs::path& path, std::string_view action) {
  fail(Fault::kSystem, path.native(), ": ", action, ": ", std::strerror(errno));
}

// Before it is locked, so that the lock's own creation does not give it a wider mode.
const fs::path& created(const fs::path& path) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd >= 0) ::close(fd);
  return path;
}

void append_text(const fs::path& path, std::string_view text) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC | O_NOFOLLOW);
  if (fd < 0) fail_errno(path, "open");
  bool done = true;
  while (done && !text.empty()) {
    const ssize_t put = ::write(fd, text.data(), text.size());
    if (put < 0 && errno == EINTR) continue;
    done = put >= 0;
    if (done) text.remove_prefix(static_cast<std::size_t>(put));
  }
  done = done && ::fsync(fd) == 0;
  const int why = errno;
  ::close(fd);
  errno = why;
  if (!done) fail_errno(path, "write");
}

KnownNote parsed(std::string_view text) {
  KnownNote out{seal::Note::parse(text), {}};
  out.checkpoint = seal::Checkpoint::parse(out.note.text);
  return out;
}

// The next whole entry of `rest`; nullopt if what is left is the beginning of one, which a crash leaves.
std::optional<KnownNote> next_entry(std::string_view& rest) {
  const std::size_t end = rest.find('\n');
  const std::string_view line = rest.substr(0, end);
  const bool begins = kEntry.starts_with(line.substr(0, kEntry.size()));
  if (end == rest.npos && begins && line.size() <= kEntry.size() + kMaxSizeDigits) return std::nullopt;
  if (end == rest.npos || !line.starts_with(kEntry))
    fail(Fault::kEvidence, "no \"note\" line where one must be");
  const std::uint64_t size = seal::decimal_from_text(line.substr(kEntry.size()), "a note's size");
  if (size > seal::kMaxNoteBytes) fail(Fault::kEvidence, "a note of ", size, " bytes");
  std::string_view text = rest.substr(end + 1);
  if (text.size() < size) return std::nullopt;
  text = text.substr(0, size);
  rest.remove_prefix(end + 1 + size);
  return parsed(text);
}

}  // namespace

KnownNotes::KnownNotes(const fs::path& path) : path_(path), lock_(created(path)) {
  try {
    const std::string text = read_file(path_, kMaxKnownBytes, Links::kRefuse);
    if (text.size() < kHeader.size() && kHeader.starts_with(text)) {
      append_text(path_, kHeader.substr(text.size()));
      return;
    }
    if (!text.starts_with(kHeader)) fail(Fault::kUsage, path.native(), ": not a file of known notes");
    std::string_view rest = std::string_view(text).substr(kHeader.size());
    while (!rest.empty()) {
      auto entry = within(cat(path.native(), ": note ", notes_.size() + 1), [&] { return next_entry(rest); });
      if (!entry) break;
      notes_.push_back(std::move(*entry));
    }
    if (!rest.empty() && ::truncate(path.c_str(), static_cast<off_t>(text.size() - rest.size())) != 0)
      fail_errno(path, "truncate");
  } catch (const Error& e) {
    if (e.fault() != Fault::kEvidence) throw;
    fail(Fault::kUsage, e.what());  // the file is the auditor's own
  }
}

const KnownNote* KnownNotes::latest(const std::string& origin) const {
  const KnownNote* found = nullptr;
  for (const KnownNote& known : notes_)
    if (known.checkpoint.origin == origin &&
        (found == nullptr || known.checkpoint.size > found->checkpoint.size))
      found = &known;
  return found;
}

void KnownNotes::add(std::string_view note) {
  KnownNote known = parsed(note);
  const bool is_there = std::any_of(notes_.begin(), notes_.end(), [&](const KnownNote& other) {
    return other.note.text == known.note.text;
  });
  if (is_there) return;
  append_text(path_, cat(kEntry, note.size(), '\n', note));
  notes_.push_back(std::move(known));
}

}  // namespace aftune::audit
