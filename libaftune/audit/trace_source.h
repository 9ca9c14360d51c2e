#pragma once

#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "audit/findings.h"
#include "audit/log_view.h"
#include "audit/rejection.h"
#include "audit/source.h"
#include "trace/layout.h"
#include "trace/segment.h"

namespace aftune::audit {

/// The tensors of a trace directory. A segment is opened when first needed, which checks that it
/// holds no dataset but those the manifest gives it; a few stay open.
class TraceSource : public TensorSource {
 public:
  /// Parts are enough where the whole run is not asked for: what is taken from a segment is compared with
  /// what the log commits to, so that a cell costs its own bytes, not those of a whole snapshot.
  TraceSource(trace::Layout layout, const LogView& log, trace::Origin origin,
              trace::Scan scan = trace::Scan::kParts);

  bool holds_cells() const override { return false; }
  bool has_state(std::int64_t s) override;
  bool has_boundaries(std::int64_t s) override;
  void read_state(std::int64_t s, const TensorSpec& spec, std::int64_t first,
                  std::span<std::byte> out) override;
  void read_boundary(Side side, std::int64_t t, int boundary, std::int64_t tokens, std::int64_t first,
                     Matrix& out) override;
  std::vector<std::int32_t> read_ints(std::int64_t t, const std::string& what,
                                      std::int64_t max_count) override;
  void read_pixels(std::int64_t t, Matrix& out) override;
  std::string state_name(std::int64_t s, const std::string& tensor) override;
  std::string boundary_name(Side side, std::int64_t t, int boundary) override;
  std::string ints_name(std::int64_t t, const std::string& what) override;

  /// Opens segment `index` if it is not open. Throws Rejection.
  std::shared_ptr<const trace::SegmentReader> segment(std::int64_t index);
  /// "segment-000003.h5"
  std::string file_name(std::int64_t index) const;

 private:
  trace::SegmentReader open(std::int64_t index) const;
  void check_entries(const trace::SegmentReader& reader, std::int64_t index) const;
  std::string dataset(Side side, std::int64_t t, int boundary) const;
  template <class Body>
  auto reading(std::int64_t index, const std::string& dataset, const Body& body);

  trace::Layout layout_;
  const LogView& log_;
  trace::Origin origin_;
  trace::Scan scan_;
  std::mutex mutex_;                                                                      // of what follows
  std::list<std::pair<std::int64_t, std::shared_ptr<const trace::SegmentReader>>> open_;  // last used first
  std::map<std::int64_t, Rejection> refused_;  // never opened twice
};

}  // namespace aftune::audit
