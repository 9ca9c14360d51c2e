#include "trace/journal.h"

#include <algorithm>

#include "base/error.h"

namespace aftune::trace {
namespace {

// A request may be of some megabytes; JSON may take six bytes for one.
constexpr std::size_t kMaxJournalLine = std::size_t{64} << 20;

// Where lines begin, and where the last whole one ends.
std::vector<std::size_t> line_starts(std::string_view text) {
  std::vector<std::size_t> starts{0};
  for (std::size_t end = text.find('\n'); end != text.npos; end = text.find('\n', starts.back()))
    starts.push_back(end + 1);
  return starts;
}

std::int64_t count_files(const Layout& layout) {
  std::int64_t count = 0;
  while (fs::exists(fs::symlink_status(layout.journal(count)))) ++count;
  return count;
}

}  // namespace

JournalWriter::JournalWriter(const Layout& layout, std::int64_t leaves, std::uint64_t roll_bytes)
    : layout_(layout), roll_bytes_(roll_bytes) {
  const std::int64_t files = count_files(layout);
  std::int64_t lines = 0;
  for (std::int64_t i = 0; i + 1 < files; ++i)
    lines += std::ssize(line_starts(as_text(MappedFile(layout.journal(i), Links::kRefuse).bytes()))) - 1;
  const std::int64_t wanted = std::max<std::int64_t>(0, leaves - 1);
  open(std::max<std::int64_t>(0, files - 1));
  const auto starts = line_starts(as_text(MappedFile(layout.journal(number_), Links::kRefuse).bytes()));
  lines += std::ssize(starts) - 1;
  if (lines < wanted)
    fail(Fault::kUsage, layout.journal(number_).native(), ": the journal has ", lines,
         " lines, and the log speaks of ", wanted, " answers");
  const std::int64_t extra = lines - wanted;
  if (extra >= std::ssize(starts))
    fail(Fault::kUsage, layout.journal(number_).native(), ": the journal is ", extra,
         " lines ahead of the log, over more than its last file");
  if (extra > 0) file_->cut(starts[starts.size() - 1 - static_cast<std::size_t>(extra)]);
}

void JournalWriter::open(std::int64_t number) {
  number_ = number;
  file_ = std::make_unique<LogWriter>(layout_.journal(number), kMaxJournalLine);
}

void JournalWriter::append(const std::vector<std::string>& lines) {
  if (file_->size() >= roll_bytes_) open(number_ + 1);
  file_->append(lines);
}

Journal::Journal(const Layout& layout) {
  const std::int64_t files = count_files(layout);
  for (std::int64_t i = 0; i < files; ++i) {
    MappedFile bytes(layout.journal(i), Links::kRefuse);
    std::vector<std::size_t> starts = line_starts(as_text(bytes.bytes()));
    files_.push_back({std::move(bytes), std::move(starts)});
  }
}

std::int64_t Journal::size() const {
  std::int64_t lines = 0;
  for (const File& file : files_) lines += std::ssize(file.starts) - 1;
  return lines;
}

std::uint64_t Journal::bytes() const {
  std::uint64_t bytes = 0;
  for (const File& file : files_) bytes += file.bytes.bytes().size();
  return bytes;
}

record::Exchange Journal::read(std::int64_t leaf) const {
  auto line = static_cast<std::size_t>(leaf - 1);
  for (const File& file : files_) {
    if (line + 1 >= file.starts.size()) {
      line -= file.starts.size() - 1;
      continue;
    }
    const std::string_view text = as_text(file.bytes.bytes());
    record::JournalLine found =
        record::parse_journal(text.substr(file.starts[line], file.starts[line + 1] - 1 - file.starts[line]));
    if (found.leaf != leaf)
      fail(Fault::kEvidence, "the journal's line for leaf ", leaf, " is of leaf ", found.leaf);
    return std::move(found.exchange);
  }
  fail(Fault::kEvidence, "the journal has no line for leaf ", leaf);
}

}  // namespace aftune::trace
