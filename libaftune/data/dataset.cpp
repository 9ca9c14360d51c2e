#include "data/dataset.h"

#include <algorithm>

#include "base/bytes.h"
#include "base/error.h"
#include "data/image_files.h"
#include "data/image_tensors.h"
#include "data/order.h"
#include "data/row_name.h"
#include "data/text_rows.h"

namespace aftune::data {
namespace {

constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";

void check_line(std::string_view line, std::int64_t row) {
  const auto refuse = [&](const char* why) { fail(Fault::kUsage, row_name(row), ": ", why); };
  if (line.find_first_not_of(" \t\r") == std::string_view::npos) refuse("blank line");
  if (line.back() == '\r') refuse("ends in CR: lines must end in LF alone");
  if (line.starts_with(kByteOrderMark)) refuse("starts with a byte order mark");
  if (!is_utf8(line)) refuse("not UTF-8");
}

}  // namespace

TextRows::TextRows(const fs::path& path) : file_(path) {
  within(path.native(), [&] {
    const std::string_view text = as_text(file_.bytes());
    if (text.empty()) fail(Fault::kUsage, "no rows: the file is empty");
    starts_.push_back(0);
    while (starts_.back() < text.size()) {
      const std::size_t start = starts_.back();
      const std::size_t end = std::min(text.find('\n', start), text.size());
      check_line(text.substr(start, end - start), static_cast<std::int64_t>(starts_.size()) - 1);
      // A start is one past the LF of the line before, whether or not the last line has one.
      starts_.push_back(end + 1);
    }
    if (rows() > kMaxRows) fail(Fault::kUsage, "more than ", kMaxRows, " rows");
  });
}

std::string_view TextRows::row(std::int64_t i) const {
  AFTUNE_CHECK(i >= 0 && i < rows());
  const std::size_t start = starts_[static_cast<std::size_t>(i)];
  const std::size_t next = starts_[static_cast<std::size_t>(i) + 1];
  return as_text(file_.bytes()).substr(start, next - 1 - start);
}

Dataset Dataset::read(const fs::path& path) {
  return Dataset(std::make_unique<TextRows>(path));
}

Dataset Dataset::read_images(const fs::path& path, const ImageForm& form) {
  if (path.extension() == ".safetensors") return Dataset(std::make_unique<ImageTensors>(path, form));
  return Dataset(std::make_unique<ImageFiles>(path, form));
}

std::string Dataset::row(std::int64_t i) const {
  std::string room;
  return std::string(row(i, room));
}

Digest Dataset::root() const {
  hash::RootBuilder tree;
  std::string room;
  for (std::int64_t i = 0; i < rows(); ++i) tree.append(hash::leaf_hash(row(i, room)));
  return tree.root();
}

}  // namespace aftune::data
