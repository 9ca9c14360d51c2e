#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/files.h"
#include "data/dataset.h"
#include "tensor/tensor.h"

namespace aftune::data {

/// The images of a safetensors file: `pixels` [n, channels, size, size], U8 or F32, and `labels` [n], I32 or
/// I64.
class ImageTensors : public RowReader {
 public:
  ImageTensors(const fs::path& path, const ImageForm& form);
  std::int64_t rows() const override { return static_cast<std::int64_t>(labels_.size()); }
  std::string_view row(std::int64_t i, std::string& room) const override;

 private:
  ImageForm form_;
  MappedFile file_;
  DType dtype_ = DType::kU8;
  ByteView pixels_;
  std::vector<std::int32_t> labels_;
};

}  // namespace aftune::data
