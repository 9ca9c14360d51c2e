#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/files.h"
#include "data/dataset.h"

namespace aftune::data {

/// The lines of a JSONL file (Dataset::read).
class TextRows : public RowReader {
 public:
  explicit TextRows(const fs::path& path);
  std::int64_t rows() const override { return static_cast<std::int64_t>(starts_.size()) - 1; }
  std::string_view row(std::int64_t i, std::string&) const override { return row(i); }
  std::string_view row(std::int64_t i) const;

 private:
  MappedFile file_;
  std::vector<std::size_t> starts_;
};

}  // namespace aftune::data
