#include "trace/direct_file.h"

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

constexpr std::size_t kPage = 4096, kLarge = std::size_t{256} << 10, kBuffer = std::size_t{1} << 20;

[[noreturn]] void fail_errno(std::string_view action) {
  fail(Fault::kSystem, action, ": ", std::strerror(errno));
}

// Returns how much was written before an error, which is left in errno.
std::size_t write_at(int fd, std::uint64_t offset, ByteView bytes) {
  std::size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t put =
        ::pwrite(fd, bytes.data() + done, bytes.size() - done, static_cast<off_t>(offset + done));
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) break;
    done += static_cast<std::size_t>(put);
  }
  return done;
}

}  // namespace

DirectFile::DirectFile(const fs::path& path)
    : fd_(::open(path.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW)),
      direct_(::open(path.c_str(), O_WRONLY | O_CLOEXEC | O_NOFOLLOW | O_DIRECT)) {
  if (fd_ >= 0) return;
  const int code = errno;
  if (direct_ >= 0) ::close(direct_);
  errno = code;
  fail_errno("open");
}

DirectFile::~DirectFile() {
  if (direct_ >= 0) ::close(direct_);
  ::close(fd_);
}

std::size_t DirectFile::write_pages(std::uint64_t offset, ByteView pages) {
  if (!buffer_) buffer_.reset(static_cast<std::byte*>(std::aligned_alloc(kPage, kBuffer)));
  if (!buffer_) fail(Fault::kSystem, "no memory for a buffer of ", kBuffer, " bytes");
  for (std::size_t done = 0; done < pages.size(); done += kBuffer) {
    const std::size_t size = std::min(kBuffer, pages.size() - done);
    std::memcpy(buffer_.get(), pages.data() + done, size);
    if (write_at(direct_, offset + done, {buffer_.get(), size}) == size) continue;
    if (errno != EINVAL) fail_errno("write");
    ::close(std::exchange(direct_, -1));
    return done;
  }
  return pages.size();
}

void DirectFile::write(std::uint64_t offset, ByteView bytes) {
  const auto write_cached = [&](std::size_t size) {
    if (write_at(fd_, offset, bytes.first(size)) != size) fail_errno("write");
    offset += size;
    bytes = bytes.subspan(size);
  };
  if (direct_ >= 0 && bytes.size() >= kLarge) {
    write_cached((kPage - offset % kPage) % kPage);
    const std::size_t done = write_pages(offset, bytes.first(bytes.size() / kPage * kPage));
    offset += done;
    bytes = bytes.subspan(done);
  }
  write_cached(bytes.size());
}

std::size_t DirectFile::read(std::uint64_t offset, std::span<std::byte> out) const {
  std::size_t have = 0;
  while (have < out.size()) {
    const ssize_t got = ::pread(fd_, out.data() + have, out.size() - have, static_cast<off_t>(offset + have));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) fail_errno("read");
    if (got == 0) break;
    have += static_cast<std::size_t>(got);
  }
  return have;
}

std::uint64_t DirectFile::size() const {
  struct stat info {};
  if (::fstat(fd_, &info) != 0) fail_errno("stat");
  return static_cast<std::uint64_t>(info.st_size);
}

}  // namespace aftune::trace
