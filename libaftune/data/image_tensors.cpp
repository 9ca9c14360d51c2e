#include "data/image_tensors.h"

#include "base/error.h"
#include "base/json.h"
#include "base/printable.h"
#include "data/image_row.h"
#include "data/order.h"
#include "tensor/safetensors.h"

namespace aftune::data {
namespace {

const SafetensorsEntry& tensor(const std::map<std::string, SafetensorsEntry>& all, const char* name) {
  const auto found = all.find(name);
  if (found == all.end()) fail(Fault::kUsage, name, ": missing");
  return found->second;
}

void check_pixels(const ImageForm& form, const TensorSpec& pixels) {
  if (pixels.dtype != DType::kU8 && pixels.dtype != DType::kF32)
    fail(Fault::kUsage, describe(pixels), ": pixels are U8 or F32");
  const Shape& shape = pixels.shape;
  if (shape.size() != 4 || shape[1] != form.channels || shape[2] != form.size || shape[3] != form.size)
    fail(Fault::kUsage, describe(pixels), ": the model takes [n, ", form.channels, ", ", form.size, ", ",
         form.size, "]: resize first");
  if (shape[0] == 0) fail(Fault::kUsage, describe(pixels), ": no images");
  if (shape[0] > kMaxRows) fail(Fault::kUsage, describe(pixels), ": more than ", kMaxRows, " rows");
}

std::vector<std::int32_t> read_labels(const ImageForm& form, const SafetensorsEntry& labels,
                                      std::int64_t count) {
  const bool wide = labels.spec.dtype == DType::kI64;
  if (!wide && labels.spec.dtype != DType::kI32)
    fail(Fault::kUsage, describe(labels.spec), ": labels are I32 or I64");
  if (labels.spec.shape != Shape{count})
    fail(Fault::kUsage, describe(labels.spec), ": there are ", count, " images");
  std::vector<std::int32_t> list(static_cast<std::size_t>(count));
  for (std::size_t i = 0; i < list.size(); ++i) {
    const std::byte* const at = labels.bytes.data() + i * size_of(labels.spec.dtype);
    const std::int64_t label = wide ? load_le<std::int64_t>(at) : load_le<std::int32_t>(at);
    if (label < 0 || label >= form.labels)
      fail(Fault::kUsage, "row ", i + 1, ": labels: ", label, " is not within the model's ", form.labels,
           " classes");
    list[i] = static_cast<std::int32_t>(label);
  }
  return list;
}

}  // namespace

ImageTensors::ImageTensors(const fs::path& path, const ImageForm& form) : form_(form), file_(path) {
  within(path.native(), [&] {
    const auto all = as_usage([&] { return parse_safetensors(file_.bytes()); });
    for (const auto& [name, entry] : all)
      if (name != "pixels" && name != "labels")
        fail(Fault::kUsage, printable(name), ": not a known tensor (there are pixels and labels)");
    const SafetensorsEntry& pixels = tensor(all, "pixels");
    check_pixels(form, pixels.spec);
    dtype_ = pixels.spec.dtype;
    pixels_ = pixels.bytes;
    labels_ = read_labels(form, tensor(all, "labels"), pixels.spec.shape[0]);
  });
}

std::string_view ImageTensors::row(std::int64_t i, std::string& room) const {
  AFTUNE_CHECK(i >= 0 && i < rows());
  const std::size_t size = static_cast<std::size_t>(form_.pixels()) * size_of(dtype_);
  const auto row = static_cast<std::size_t>(i);
  room = image_row(form_, dtype_, labels_[row], pixels_.subspan(row * size, size));
  return room;
}

}  // namespace aftune::data
