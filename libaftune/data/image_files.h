#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "base/files.h"
#include "data/dataset.h"
#include "data/image_decoder.h"
#include "data/text_rows.h"

namespace aftune::data {

/// The images that the rows of a JSONL file name: {"image": path beside that file, "label": number or name}.
/// They are decoded each time they are asked for, and must then be what they were first.
class ImageFiles : public RowReader {
 public:
  ImageFiles(const fs::path& path, const ImageForm& form);
  std::int64_t rows() const override { return lines_.rows(); }
  std::string_view row(std::int64_t i, std::string& room) const override;

 private:
  struct Named {
    fs::path path;
    std::int32_t label = 0;
  };
  Named named(std::int64_t i) const;
  std::string read(std::int64_t i) const;

  ImageForm form_;
  fs::path folder_;
  TextRows lines_;
  mutable std::mutex mutex_;  // of the decoder
  mutable std::unique_ptr<ImageDecoder> decoder_;
  std::vector<Digest> seen_;  // of each row, when all were first read
};

}  // namespace aftune::data
