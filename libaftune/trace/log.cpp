#include "trace/log.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/error.h"

namespace aftune::trace {
namespace {

constexpr std::uint64_t kMaxLogBytes = std::uint64_t{1} << 36;

[[noreturn]] void fail_errno(const fs::path& path, std::string_view action) {
  fail(Fault::kSystem, path.native(), ": ", action, ": ", std::strerror(errno));
}

void check_line(std::string_view line, std::size_t number) {
  const auto refuse = [&](std::string_view why) { fail(Fault::kEvidence, "line ", number, ": ", why); };
  if (line.empty()) refuse("empty");
  if (line.size() > kMaxLineBytes) refuse("longer than 65535 bytes");
  if (line.find('\r') != line.npos) refuse("holds a carriage return");
  if (line.find('\0') != line.npos) refuse("holds a NUL");
  if (line.substr(0, 3) == "\xef\xbb\xbf") refuse("begins with a byte order mark");
}

// The offset after the last LF, searched backwards from `size`: all that follows is a torn line.
off_t end_of_last_line(int fd, off_t size, const fs::path& path) {
  char buffer[4096];
  while (size > 0) {
    const auto want = static_cast<std::size_t>(std::min<off_t>(size, sizeof(buffer)));
    const off_t from = size - static_cast<off_t>(want);
    if (::pread(fd, buffer, want, from) != static_cast<ssize_t>(want)) fail_errno(path, "read");
    for (std::size_t i = want; i > 0; --i)
      if (buffer[i - 1] == '\n') return from + static_cast<off_t>(i);
    size = from;
  }
  return 0;
}

// `lines` come before the text.
Log split(std::string_view rest, std::size_t lines) {
  Log log;
  while (!rest.empty()) {
    const std::size_t end = rest.find('\n');
    if (end == rest.npos) {
      log.torn = true;
      break;
    }
    check_line(rest.substr(0, end), lines + log.leaves.size() + 1);
    log.leaves.emplace_back(rest.substr(0, end));
    rest.remove_prefix(end + 1);
  }
  return log;
}

}  // namespace

Log Log::read(const fs::path& path) {
  const std::string text = read_file(path, kMaxLogBytes, Links::kRefuse);
  return within(path.native(), [&] { return split(text, 0); });
}

Log Log::read_after(const fs::path& path, std::uint64_t bytes, std::uint64_t lines) {
  const std::string text = read_part(path, bytes, kMaxLogBytes, Links::kRefuse);
  return within(path.native(), [&] { return split(text, static_cast<std::size_t>(lines)); });
}

std::optional<std::string> line_ending_at(const fs::path& path, std::uint64_t bytes) {
  const std::uint64_t from = bytes - std::min<std::uint64_t>(bytes, kMaxLineBytes + 2);
  std::string text = read_part(path, from, bytes, Links::kRefuse);
  if (text.size() != bytes - from || !text.ends_with('\n')) return std::nullopt;
  text.pop_back();
  const std::size_t before = text.rfind('\n');
  if (before == text.npos && from != 0) return std::nullopt;
  return before == text.npos ? text : text.substr(before + 1);
}

std::optional<std::string> first_line(const fs::path& path) {
  const std::string text = read_part(path, 0, kMaxLineBytes + 2, Links::kRefuse);
  const std::size_t end = text.find('\n');
  if (end == text.npos && text.size() <= kMaxLineBytes) return std::nullopt;
  return within(path.native(), [&] {
    const std::string line = text.substr(0, end);
    check_line(line, 1);
    return line;
  });
}

hash::MerkleTree Log::tree() const {
  hash::MerkleTree tree;
  for (const std::string& leaf : leaves) tree.append(hash::leaf_hash(leaf));
  return tree;
}

LogWriter::LogWriter(const fs::path& path, std::size_t max_line) : path_(path), max_line_(max_line) {
  fd_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0644);
  if (fd_ < 0) fail_errno(path_, "open");
  try {
    struct stat info {};
    if (::fstat(fd_, &info) != 0) fail_errno(path_, "stat");
    size_ = end_of_last_line(fd_, info.st_size, path_);
    if (size_ != info.st_size) cut(size());
    sync_directory(path.has_parent_path() ? path.parent_path() : fs::path("."));
  } catch (...) {
    ::close(fd_);
    throw;
  }
}

LogWriter::~LogWriter() {
  ::close(fd_);
}

void LogWriter::cut(std::uint64_t size) {
  AFTUNE_CHECK(size <= this->size());
  size_ = static_cast<off_t>(size);
  if (::ftruncate(fd_, size_) != 0) fail_errno(path_, "truncate");
  if (::fsync(fd_) != 0) fail_errno(path_, "fsync");
}

void LogWriter::append(const std::vector<std::string>& leaves) {
  std::string text;
  for (const std::string& leaf : leaves) {
    AFTUNE_CHECK(!leaf.empty() && leaf.size() <= max_line_ && leaf.find('\n') == leaf.npos);
    text += leaf;
    text += '\n';
  }
  std::string_view rest = text;
  while (!rest.empty()) {
    const ssize_t put = ::write(fd_, rest.data(), rest.size());
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) {
      const int why = errno;
      [[maybe_unused]] const int cut = ::ftruncate(fd_, size_);  // failing that, resume cuts the torn line
      errno = why;
      fail_errno(path_, "write");
    }
    rest.remove_prefix(static_cast<std::size_t>(put));
  }
  if (::fsync(fd_) != 0) fail_errno(path_, "fsync");
  size_ += static_cast<off_t>(text.size());
}

}  // namespace aftune::trace
