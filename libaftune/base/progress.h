#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

namespace aftune {

/// One line on stderr that is redrawn, at most ten times a second, when stderr is a terminal; else nothing.
class Progress {
 public:
  /// `quiet` draws nothing even on a terminal. `total` 0 means unknown.
  Progress(std::string label, std::int64_t total, bool quiet);
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  ~Progress();  ///< clears the line

  void update(std::int64_t done, std::string_view note = {});

 private:
  std::string label_;
  std::int64_t total_;
  bool drawn_ = false;
  bool on_;
  std::chrono::steady_clock::time_point start_;
  std::chrono::steady_clock::time_point last_{};
};

/// Set by SIGINT or SIGTERM once catch_interrupts() has been called; long loops ask it between steps. After
/// `most` of them the next ends the process at once.
void catch_interrupts(int most = 1);
bool interrupted();
/// How many there were.
int interrupts();

}  // namespace aftune
