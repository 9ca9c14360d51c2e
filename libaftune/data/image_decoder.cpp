#include "data/image_decoder.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/error.h"
#include "base/printable.h"
#include "data/decode_image.h"

namespace aftune::data {
namespace {

constexpr std::uint64_t kMaxMessage = 1024;

// What comes back before a message, or in place of one where the pixels are in the window.
struct Answer {
  std::uint64_t message = 0;  // bytes; 0: decoded
};

template <class T>
std::span<std::byte> raw(T& value) {
  return std::as_writable_bytes(std::span(&value, 1));
}

// Its requests are a file's length and its bytes.
void serve(LockedChild::Line& line, std::int64_t size) {
  std::uint64_t length = 0;
  while (line.receive(raw(length))) {
    Bytes file(static_cast<std::size_t>(length));
    if (!line.receive(file)) return;
    try {
      decode_image(file, size, line.window());
      Answer answer;
      line.send(raw(answer));
    } catch (const Error& e) {
      const std::string_view text = std::string_view(e.what()).substr(0, kMaxMessage);
      Answer answer{text.size()};
      line.send(raw(answer));
      line.send(as_bytes(text));
    }
  }
}

// A child has a descriptor of some file; this one needs none.
class Nothing {
 public:
  Nothing() : fd(::open("/dev/null", O_RDONLY | O_CLOEXEC)) {
    if (fd < 0) fail(Fault::kSystem, "/dev/null: ", std::strerror(errno));
  }
  Nothing(const Nothing&) = delete;
  Nothing& operator=(const Nothing&) = delete;
  ~Nothing() { ::close(fd); }
  const int fd;
};

std::unique_ptr<LockedChild> new_child(std::int64_t size) {
  // A file, its pixels twice, and what the libraries need beside them.
  const LockedChild::Limits limits{.memory = std::uint64_t{384} << 20, .seconds = 20};
  return std::make_unique<LockedChild>(Nothing().fd, static_cast<std::size_t>(3 * size * size), limits,
                                       [size](LockedChild::Line& line) { serve(line, size); });
}

}  // namespace

ImageDecoder::ImageDecoder(std::int64_t size) : size_(size), child_(new_child(size)) {}

ImageDecoder::~ImageDecoder() = default;

Bytes ImageDecoder::decode(std::string_view file) {
  if (child_ == nullptr) child_ = new_child(size_);
  try {
    return ask(file);
  } catch (const Error& e) {
    if (e.fault() == Fault::kSystem) throw;
    if (e.fault() == Fault::kEvidence) child_.reset();  // it has ended; the next file gets another
    fail(Fault::kUsage, e.what());
  }
}

Bytes ImageDecoder::ask(std::string_view file) {
  const std::uint64_t length = file.size();
  child_->send(std::as_bytes(std::span(&length, 1)));
  child_->send(as_bytes(file));
  Answer answer;
  child_->receive(raw(answer));
  if (answer.message > kMaxMessage) child_->end("gave an answer that it cannot");
  if (answer.message > 0) {
    Bytes text(static_cast<std::size_t>(answer.message));
    child_->receive(text);
    fail(Fault::kUsage, visible(as_text(text)));
  }
  return Bytes(child_->window().begin(), child_->window().end());
}

}  // namespace aftune::data
