#include "base/error.h"
#include "trace/segment_content.h"
#include "trace/segment_file.h"

namespace aftune::trace {
namespace {

class OwnSegment : public SegmentContent {
 public:
  OwnSegment(const fs::path& path, Scan scan) : opened_(path) {
    const Digest stated = opened_.file().stated_digest();
    if (scan == Scan::kWhole) {
      digest_ = opened_.file().digest();
      if (*digest_ != stated) fail(Fault::kEvidence, kDamaged);
    }
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

std::unique_ptr<SegmentContent> own_segment(const fs::path& path, Scan scan) {
  return std::make_unique<OwnSegment>(path, scan);
}

}  // namespace aftune::trace
