#include "audit/bounds.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "hash/blake3.h"
#include "kernels/native.h"

namespace aftune::audit {
namespace {

constexpr std::int64_t kMostExtent = std::int64_t{1} << 31;
constexpr std::string_view kProducts[] = {"linear", "grad-input", "grad-weight"};

Json sample_json(const BoundSample& sample) {
  return {{"cols", sample.cols}, {"depth", sample.depth},        {"product", sample.product},
          {"rows", sample.rows}, {"seed", u64_hex(sample.seed)}, {"worst", double_hex(sample.worst)}};
}

Json without_digest(const Bounds& bounds) {
  Json samples = Json::array();
  for (const BoundSample& sample : bounds.samples) samples.push_back(sample_json(sample));
  return {{"bound", double_hex(bounds.bound)}, {"capability", bounds.machine.capability},
          {"created", bounds.created},         {"device", bounds.machine.device},
          {"library", bounds.machine.library}, {"op", kernels::kNativeProduct},
          {"samples", std::move(samples)},     {"software", bounds.software},
          {"type", "aftune-bounds"},           {"version", 1}};
}

BoundSample sample_from(const Json& json) {
  Fields fields(json, "sample");
  BoundSample sample;
  sample.product = fields.text("product", 32);
  if (std::find(std::begin(kProducts), std::end(kProducts), sample.product) == std::end(kProducts))
    fail(Fault::kEvidence, "sample: \"product\" is not linear, grad-input or grad-weight");
  sample.rows = fields.integer("rows", 1, kMostExtent);
  sample.cols = fields.integer("cols", 1, kMostExtent);
  sample.depth = fields.integer("depth", 1, kMostExtent);
  sample.seed = fields.u64_bits("seed");
  sample.worst = fields.double_bits("worst");
  if (!(sample.worst >= 0) || std::signbit(sample.worst))
    fail(Fault::kEvidence, "sample: \"worst\" is not a distance");
  fields.done();
  return sample;
}

}  // namespace

double bound_of(const std::vector<BoundSample>& samples) {
  double worst = 0;
  for (const BoundSample& sample : samples) worst = std::max(worst, sample.worst);
  return std::max(Bounds::kLeast, Bounds::kMargin * worst);
}

std::string to_text(const Bounds& bounds) {
  Json json = without_digest(bounds);
  json["digest"] = to_hex(hash::blake3(canonical_json(json)));
  return canonical_json(json) + '\n';
}

Bounds parse_bounds(std::string_view text) {
  return within("bounds", [&] {
    const Json json = parse_json(text, {.max_bytes = kMaxBoundsBytes, .max_depth = 4});
    Fields fields(json, "bounds");
    Bounds bounds;
    if (fields.text("type") != "aftune-bounds") fail(Fault::kEvidence, "not a bounds file");
    fields.integer("version", 1, 1);
    if (fields.text("op") != kernels::kNativeProduct) fail(Fault::kEvidence, "of an unknown op");
    bounds.machine = {fields.text("device", 256), fields.text("capability", 256),
                      fields.text("library", 256)};
    bounds.software = fields.text("software", 256);
    bounds.created = fields.integer("created", 0);
    for (const Json& sample : fields.array("samples")) bounds.samples.push_back(sample_from(sample));
    bounds.bound = fields.double_bits("bound");
    bounds.digest = fields.digest("digest");
    fields.done();
    if (bounds.samples.empty()) fail(Fault::kEvidence, "has no samples");
    if (!(bounds.bound <= Bounds::kMost) || bounds.bound != bound_of(bounds.samples))
      fail(Fault::kEvidence, "the bound does not follow from the samples, or is none of f32 sums");
    if (hash::blake3(canonical_json(without_digest(bounds))) != bounds.digest)
      fail(Fault::kEvidence, "the digest is not that of the text");
    return bounds;
  });
}

}  // namespace aftune::audit
