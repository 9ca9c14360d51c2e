#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/files.h"
#include "model/config.h"
#include "record/normalisation.h"

namespace aftune::model {

/// The file of a model folder that says how its images are made of pictures.
inline constexpr const char* kImageProcessor = "preprocessor_config.json";

/// What it says of pixels' values, or, if there is none, what the family's models were trained with: 1/255
/// with mean and std 0.5 (ViT) or ImageNet's (DINOv2). What it says of sizes is left to whoever makes the
/// data. Throws Error{kEvidence} that names the member for anything else that would change a pixel.
record::Normalisation parse_normalisation(const std::optional<std::string>& text, const Config& config);
/// Of a model folder.
record::Normalisation read_normalisation(const fs::path& model, const Config& config);

}  // namespace aftune::model
