#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>

#include "data/image_form.h"
#include "kernels/image_shape.h"

namespace aftune::model {

/// What a config.json of a classifier of images says of images and of classes.
struct ImageConfig {
  kernels::ImageShape shape;
  std::int32_t labels = 0;
  std::map<std::string, std::int32_t> label_ids;  ///< label2id, and id2label the other way round

  /// With the constants that pixels are normalised by.
  data::ImageForm form(record::Normalisation normalisation) const {
    return {.channels = shape.channels,
            .size = shape.size,
            .patch = shape.patch,
            .labels = labels,
            .label_ids = label_ids,
            .normalisation = std::move(normalisation)};
  }
};

class ConfigReader;
struct Config;

/// Fills what config.json says of images, classes, sizes of the layers and activation: what ViT and DINOv2
/// have in common. Throws Error{kEvidence} with the key's name for what would change the arithmetic.
void read_image_config(const ConfigReader& in, Config& config);

}  // namespace aftune::model
