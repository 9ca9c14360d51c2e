#include "base/files.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/error.h"

namespace aftune {
namespace {

[[noreturn]] void fail_errno(const fs::path& path, std::string_view action) {
  const int code = errno;
  const bool users =
      code == ENOENT || code == ENOTDIR || code == EISDIR || code == ELOOP || code == ENAMETOOLONG;
  fail(users ? Fault::kUsage : Fault::kSystem, path.native(), ": ", action, ": ", std::strerror(code));
}

// A descriptor that closes itself; release() hands it on.
class Fd {
 public:
  explicit Fd(int fd) : fd_(fd) {}
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;
  ~Fd() {
    if (fd_ >= 0) ::close(fd_);
  }
  int get() const { return fd_; }
  int release() { return std::exchange(fd_, -1); }

 private:
  int fd_;
};

int open_regular(const fs::path& path, Links links, std::uint64_t& size) {
  // O_NONBLOCK: a FIFO under the name must not hang the open; it has no effect on regular files.
  const int flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | (links == Links::kRefuse ? O_NOFOLLOW : 0);
  Fd fd(::open(path.c_str(), flags));
  if (fd.get() < 0) fail_errno(path, "open");
  struct stat info {};
  if (::fstat(fd.get(), &info) != 0) fail_errno(path, "stat");
  if (!S_ISREG(info.st_mode)) fail(Fault::kUsage, path.native(), ": not a regular file");
  size = static_cast<std::uint64_t>(info.st_size);
  return fd.release();
}

// Bytes [from, to), fewer if the file was cut meanwhile.
std::string read_bytes(int fd, std::uint64_t from, std::uint64_t to, const fs::path& path) {
  std::string text(static_cast<std::size_t>(to - from), '\0');
  std::size_t have = 0;
  while (have < text.size()) {
    const ssize_t got = ::pread(fd, text.data() + have, text.size() - have, static_cast<off_t>(from + have));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) fail_errno(path, "read");
    if (got == 0) break;
    have += static_cast<std::size_t>(got);
  }
  text.resize(have);
  return text;
}

}  // namespace

std::string read_file(const fs::path& path, std::uint64_t max_bytes, Links links) {
  std::uint64_t size = 0;
  Fd fd(open_regular(path, links, size));
  if (size > max_bytes)
    fail(Fault::kEvidence, path.native(), ": ", size, " bytes, more than the ", max_bytes, " allowed here");
  return read_bytes(fd.get(), 0, size, path);
}

std::string read_part(const fs::path& path, std::uint64_t from, std::uint64_t to, Links links) {
  std::uint64_t size = 0;
  Fd fd(open_regular(path, links, size));
  from = std::min(from, size);
  return read_bytes(fd.get(), from, std::max(from, std::min(to, size)), path);
}

// Exclusive creation neither follows a link nor meets another writer; a name left over from a killed process
// is passed over.
AtomicFile::AtomicFile(fs::path path, unsigned mode) : path_(std::move(path)) {
  static std::atomic<unsigned> next_name{0};
  for (int tries = 0; fd_ < 0; ++tries) {
    temporary_ = path_;
    temporary_ += cat(".tmp.", ::getpid(), '.', next_name++);
    fd_ = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    if (fd_ < 0 && (errno != EEXIST || tries == 1000)) fail_errno(path_, "create");
  }
}

AtomicFile::~AtomicFile() {
  if (fd_ < 0) return;
  ::close(fd_);
  ::unlink(temporary_.c_str());
}

void AtomicFile::write(ByteView bytes) {
  while (!bytes.empty()) {
    const ssize_t put = ::write(fd_, bytes.data(), bytes.size());
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) fail_errno(path_, "write");
    bytes = bytes.subspan(static_cast<std::size_t>(put));
  }
}

void AtomicFile::commit() {
  if (::fsync(fd_) != 0) fail_errno(path_, "fsync");
  if (::rename(temporary_.c_str(), path_.c_str()) != 0) fail_errno(path_, "rename");
  ::close(std::exchange(fd_, -1));
  sync_directory(path_.has_parent_path() ? path_.parent_path() : fs::path("."));
}

void write_file(const fs::path& path, std::string_view text, unsigned mode) {
  AtomicFile file(path, mode);
  file.write(text);
  file.commit();
}

void sync_file(const fs::path& path) {
  Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (fd.get() < 0) fail_errno(path, "open");
  if (::fsync(fd.get()) != 0) fail_errno(path, "fsync");
}

void sync_directory(const fs::path& path) {
  Fd fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (fd.get() < 0) fail_errno(path, "open");
  if (::fsync(fd.get()) != 0) fail_errno(path, "fsync");
}

MappedFile::MappedFile(const fs::path& path, Links links) {
  std::uint64_t size = 0;
  Fd fd(open_regular(path, links, size));
  size_ = static_cast<std::size_t>(size);
  if (size_ == 0) return;
  void* at = ::mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, fd.get(), 0);
  if (at == MAP_FAILED) fail_errno(path, "mmap");
  data_ = static_cast<const std::byte*>(at);
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

MappedFile::~MappedFile() {
  if (data_ != nullptr) ::munmap(const_cast<std::byte*>(data_), size_);
}

FileLock::FileLock(const fs::path& path, Busy busy) {
  Fd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644));
  if (fd.get() < 0) fail_errno(path, "open");
  const int how = busy == Busy::kWait ? LOCK_EX : LOCK_EX | LOCK_NB;
  int failed = 0;
  do failed = ::flock(fd.get(), how);
  while (failed != 0 && errno == EINTR);
  if (failed != 0) {
    if (errno == EWOULDBLOCK) fail(Fault::kUsage, path.native(), ": in use by another process");
    fail_errno(path, "lock");
  }
  fd_ = fd.release();
}

FileLock::~FileLock() {
  if (fd_ >= 0) ::close(fd_);
}

}  // namespace aftune
