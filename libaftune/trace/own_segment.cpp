#include "base/error.h"
#include "trace/segment_content.h"
#include "trace/segment_file.h"

namespace aftune::trace {
namespace {

class OwnSegment : public SegmentContent {
 public:
  explicit OwnSegment(const fs::path& path) : opened_(path) {
    digest_ = opened_.file().stated_digest();
    if (opened_.file().digest() != digest_) fail(Fault::kEvidence, kDamaged);
    entries_ = opened_.file().index();
    for (const DatasetEntry& entry : entries_) datasets_.push_back(dataset_of(entry));
  }

  std::size_t read(std::size_t dataset, std::int64_t first, std::uint64_t wanted,
                   std::span<std::byte> out) const override {
    return opened_.file().read(entries_[dataset], first, wanted, out);
  }

 private:
  OpenedSegment opened_;
  std::vector<DatasetEntry> entries_;
};

}  // namespace

std::unique_ptr<SegmentContent> own_segment(const fs::path& path) {
  return std::make_unique<OwnSegment>(path);
}

}  // namespace aftune::trace
