#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>

#include "serve/service.h"

namespace aftune::http {

/// What the server has done, for Prometheus. All methods may be called from any thread.
class Metrics {
 public:
  /// A response was begun. `route` is one of ours, never a client's text.
  void responded(std::string_view route, int status);
  void ended(const serve::AnswerEnd& end);

  /// What is so now.
  struct Gauges {
    std::uint64_t waiting = 0, running = 0, sealed_leaves = 0;
    int connections = 0;
  };
  /// The text exposition format, version 0.0.4.
  std::string text(const Gauges& gauges) const;

 private:
  static constexpr std::array<double, 12> kBounds{0.005, 0.01, 0.025, 0.05, 0.1, 0.25,
                                                  0.5,   1,    2.5,   5,    10,  60};
  struct Histogram {
    std::array<std::uint64_t, kBounds.size() + 1> counts{};
    double sum = 0;
    void add(double seconds);
    void print(std::ostream& out, std::string_view name, std::string_view help) const;
  };

  mutable std::mutex mutex_;
  std::map<std::pair<std::string, int>, std::uint64_t> responses_;
  std::array<std::uint64_t, 3> ends_{};  // by generate::Ended
  std::uint64_t prompt_tokens_ = 0, answer_tokens_ = 0, recorded_ = 0;
  Histogram queued_, prefill_, decode_;
};

}  // namespace aftune::http
