#include "base/progress.h"

#include <unistd.h>

#include <csignal>
#include <cstdio>

#include "base/error.h"

namespace aftune {
namespace {

volatile std::sig_atomic_t g_interrupts = 0, g_most = 1;

// One signal too many ends the process at once: the user means it.
void on_signal(int signal) {
  if (g_interrupts >= g_most) {
    std::signal(signal, SIG_DFL);
    std::raise(signal);
  }
  g_interrupts = g_interrupts + 1;
}

}  // namespace

Progress::Progress(std::string label, std::int64_t total, bool quiet)
    : label_(std::move(label)),
      total_(total),
      on_(!quiet && ::isatty(STDERR_FILENO) == 1),
      start_(std::chrono::steady_clock::now()) {}

Progress::~Progress() {
  if (drawn_) std::fputs("\r\033[K", stderr);
}

void Progress::update(std::int64_t done, std::string_view note) {
  if (!on_) return;
  const auto now = std::chrono::steady_clock::now();
  if (drawn_ && now - last_ < std::chrono::milliseconds(100) && done != total_) return;
  last_ = now;
  drawn_ = true;
  std::string line = cat("\r\033[K", label_, ' ', done);
  if (total_ > 0) {
    const double spent = std::chrono::duration<double>(now - start_).count();
    line += cat('/', total_);
    if (done > 0 && done < total_) {
      const auto left =
          static_cast<long>(spent / static_cast<double>(done) * static_cast<double>(total_ - done));
      line += cat("  ", left / 60, 'm', left % 60, "s left");
    }
  }
  if (!note.empty()) line += cat("  ", note);
  std::fputs(line.c_str(), stderr);
  std::fflush(stderr);
}

void catch_interrupts(int most) {
  g_most = most;
  std::signal(SIGINT, on_signal);
  std::signal(SIGTERM, on_signal);
}

bool interrupted() {
  return g_interrupts != 0;
}

int interrupts() {
  return g_interrupts;
}

}  // namespace aftune
