#include "trace/foreign_segment.h"

#include <algorithm>
#include <cstring>

#include "base/error.h"
#include "base/printable.h"
#include "trace/segment_index.h"

namespace aftune::trace {
namespace {

using Ask = ForeignSegment::Ask;
using Outcome = ForeignSegment::Outcome;
using Request = ForeignSegment::Request;
using Answer = ForeignSegment::Answer;

constexpr std::uint64_t kMaxMessage = std::uint64_t{1} << 14;
constexpr std::size_t kMaxRank = 8;
constexpr const char* kImpossible = "gave an answer that it cannot";

template <class T>
ByteView raw(const T& value) {
  return std::as_bytes(std::span(&value, 1));
}
template <class T>
std::span<std::byte> raw(T& value) {
  return std::as_writable_bytes(std::span(&value, 1));
}

// The list of datasets as it goes from one process to the other: of each the length of its path (u16), the
// path, the type (u8), the rank (u8), the dimensions, the stored bytes (u64) and, of one whose elements lie
// in the file as they are, where (u64); else 0. Never longer than the index.
Bytes list_of(const std::vector<DatasetEntry>& entries) {
  Bytes list;
  for (const DatasetEntry& entry : entries) {
    const Dataset d = dataset_of(entry);
    append_le(list, static_cast<std::uint16_t>(d.path.size()));
    const ByteView path = as_bytes(d.path);
    list.insert(list.end(), path.begin(), path.end());
    append_le(list, static_cast<std::uint8_t>(d.dtype));
    append_le(list, static_cast<std::uint8_t>(d.shape.size()));
    for (const std::int64_t dimension : d.shape) append_le(list, dimension);
    append_le(list, d.stored);
    append_le(list, entry.chunk.empty() ? entry.extents[0].offset : std::uint64_t{0});
  }
  return list;
}

// Reads such a list about a file of `size` bytes; Error{kEvidence} if there is less of it than it says, or if
// elements lie beyond the file.
class ListReader {
 public:
  ListReader(ByteView list, std::uint64_t size) : rest_(list), size_(size) {}
  bool done() const { return rest_.empty(); }

  Dataset next(std::uint64_t& at) {
    Dataset d;
    d.path = as_text(bytes(number<std::uint16_t>()));
    require(is_dataset_path(d.path));
    const auto dtype = number<std::uint8_t>();
    require(dtype <= static_cast<std::uint8_t>(DType::kU8));
    d.dtype = static_cast<DType>(dtype);
    const auto rank = number<std::uint8_t>();
    require(rank <= kMaxRank);
    for (int i = 0; i < rank; ++i) d.shape.push_back(number<std::int64_t>());
    element_count(d.shape);  // refuses what is negative or overflows
    d.stored = number<std::uint64_t>();
    at = number<std::uint64_t>();
    require(at == 0 || (at <= size_ && byte_size({d.path, d.dtype, d.shape}) <= size_ - at));
    return d;
  }

 private:
  static void require(bool holds) {
    if (!holds) fail(Fault::kEvidence, "no dataset");
  }
  ByteView bytes(std::size_t count) {
    require(count <= rest_.size());
    const ByteView taken = rest_.first(count);
    rest_ = rest_.subspan(count);
    return taken;
  }
  template <class T>
  T number() {
    return load_le<T>(bytes(sizeof(T)).data());
  }

  ByteView rest_;
  std::uint64_t size_;
};

// The child's side.
class Server {
 public:
  Server(LockedChild::Line& line, std::uint64_t size) : line_(line), file_{line.file(), size} {}

  void run() {
    Request request;
    while (line_.receive(raw(request))) {
      try {
        answer(request);
      } catch (const Error& e) {
        const std::string_view text = std::string_view(e.what()).substr(0, kMaxMessage);
        const bool system = e.fault() == Fault::kSystem;
        line_.send(raw(Answer{system ? Outcome::kSystem : Outcome::kEvidence, 0, text.size()}));
        line_.send(as_bytes(text));
      }
    }
  }

 private:
  void answer(const Request& request) {
    switch (request.ask) {
      case Ask::kDigest:
        return send(as_bytes(file_.stated_digest()));
      case Ask::kIndex:
        entries_ = file_.index();
        return send(list_of(entries_));
      case Ask::kRead:
        break;
    }
    const auto out = line_.window().first(std::min<std::uint64_t>(request.wanted, line_.window().size()));
    const std::size_t size = file_.read(entries_.at(request.dataset), request.first, request.wanted, out);
    line_.send(raw(Answer{Outcome::kDone, 0, size}));
  }

  void send(ByteView bytes) {
    line_.send(raw(Answer{Outcome::kDone, 0, bytes.size()}));
    line_.send(bytes);
  }

  LockedChild::Line& line_;
  SegmentFile file_;
  std::vector<DatasetEntry> entries_;
};

}  // namespace

void serve_segment(LockedChild::Line& line, std::uint64_t size) {
  Server(line, size).run();
}

ForeignSegment::ForeignSegment(const fs::path& path, Scan scan)
    : ForeignSegment(path, {.memory = kMemory}, nullptr, scan) {}

ForeignSegment::ForeignSegment(const fs::path& path, const LockedChild::Limits& limits, const Child& child,
                               Scan scan)
    : opened_(path), child_(opened_.file().fd, kReadPiece, limits, [&](LockedChild::Line& line) {
        child ? child(line) : serve_segment(line, opened_.file().size);
      }) {
  if (ask({.ask = Ask::kDigest}, sizeof(Digest::bytes)) != sizeof(Digest::bytes)) child_.end(kImpossible);
  const Bytes stated = receive(sizeof(Digest::bytes));
  if (scan == Scan::kWhole) {
    // The file is named by this digest in verdicts, so it is not left to the child.
    digest_ = opened_.file().digest();
    if (!std::equal(stated.begin(), stated.end(), as_bytes(*digest_).begin()))
      fail(Fault::kEvidence, kDamaged);
  }
  take_datasets(receive(ask({.ask = Ask::kIndex}, kMaxIndexBytes)));
}

void ForeignSegment::take_datasets(ByteView list) {
  try {
    for (ListReader reader(list, opened_.file().size); !reader.done();) {
      datasets_.push_back(reader.next(places_.emplace_back()));
      const std::size_t count = datasets_.size();
      if (count > kMaxDatasets || (count > 1 && datasets_[count - 2].path >= datasets_[count - 1].path))
        fail(Fault::kEvidence, "no list");
    }
  } catch (const Error&) {
    child_.end(kImpossible);
  }
}

std::size_t ForeignSegment::read(std::size_t dataset, std::int64_t first, std::uint64_t wanted,
                                 std::span<std::byte> out) const {
  if (const std::uint64_t at = places_[dataset]; at != 0) {
    opened_.file().read_at(at + static_cast<std::uint64_t>(first) * size_of(datasets_[dataset].dtype), out);
    return out.size();
  }
  const std::size_t most = std::min(out.size(), child_.window().size());
  const std::lock_guard lock(mutex_);
  const std::uint64_t size = ask(
      {.ask = Ask::kRead, .dataset = static_cast<std::uint32_t>(dataset), .first = first, .wanted = wanted},
      most);
  if (size == 0 || size % size_of(datasets_[dataset].dtype) != 0) child_.end(kImpossible);
  std::memcpy(out.data(), child_.window().data(), size);
  return size;
}

// The size of the answer, at most `most`.
std::uint64_t ForeignSegment::ask(const Request& request, std::uint64_t most) const {
  Answer answer;
  child_.send(raw(request));
  child_.receive(raw(answer));
  if (answer.outcome != Outcome::kDone) rethrow(answer);
  if (answer.size > most) child_.end(kImpossible);
  return answer.size;
}

Bytes ForeignSegment::receive(std::uint64_t size) const {
  Bytes bytes(static_cast<std::size_t>(size));
  child_.receive(bytes);
  return bytes;
}

void ForeignSegment::rethrow(const Answer& answer) const {
  if (answer.size > kMaxMessage) child_.end(kImpossible);
  const Bytes text = receive(answer.size);
  if (answer.outcome == Outcome::kEvidence) fail(Fault::kEvidence, visible(as_text(text)));
  if (answer.outcome != Outcome::kSystem) child_.end(kImpossible);
  // "Try again" is not for a foreign file to say: a read error counts if this process meets it too.
  opened_.file().stated_digest();
  opened_.file().digest();
  child_.end("reports a read error that there is not");
}

std::unique_ptr<SegmentContent> foreign_segment(const fs::path& path, Scan scan) {
  return std::make_unique<ForeignSegment>(path, scan);
}

}  // namespace aftune::trace
