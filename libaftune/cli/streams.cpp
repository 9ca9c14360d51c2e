#include "cli/streams.h"

#include <fcntl.h>
#include <termios.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "base/error.h"

namespace aftune::cli {
namespace {

constexpr std::uint64_t kMaxPassphrase = 4096;

/// The terminal with its echo off, for the lifetime of one question.
class SilentTerminal {
 public:
  SilentTerminal() : fd_(::open("/dev/tty", O_RDWR | O_CLOEXEC)) {
    if (fd_ < 0)
      fail(Fault::kUsage,
           "no terminal to ask for a passphrase; set AFTUNE_PASSPHRASE_FILE or use --no-passphrase");
    ::tcgetattr(fd_, &before_);
    termios silent = before_;
    silent.c_lflag &= ~static_cast<tcflag_t>(ECHO);
    ::tcsetattr(fd_, TCSAFLUSH, &silent);
  }
  SilentTerminal(const SilentTerminal&) = delete;
  SilentTerminal& operator=(const SilentTerminal&) = delete;
  ~SilentTerminal() {
    ::tcsetattr(fd_, TCSAFLUSH, &before_);
    say("\n");
    ::close(fd_);
  }

  void say(std::string_view text) {
    [[maybe_unused]] const auto put = ::write(fd_, text.data(), text.size());
  }
  std::string line() {
    std::string text;
    char c = 0;
    while (::read(fd_, &c, 1) == 1 && c != '\n' && text.size() < kMaxPassphrase) text += c;
    return text;
  }

 private:
  int fd_;
  termios before_{};
};

}  // namespace

void print(std::string_view text) {
  if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size() || std::fflush(stdout) != 0)
    fail(Fault::kSystem, "stdout: write: ", std::strerror(errno));
}

void print_json(const Json& value) {
  print(json_text(value) + "\n");
}

void write_output(const fs::path& path, std::string_view text) {
  if (path == "-") return print(text);
  write_file(path, text);
}

void require_not_input(std::string_view flag, const fs::path& path, const std::vector<fs::path>& inputs) {
  std::error_code absent;  // a file that is not there is no input
  for (const fs::path& input : inputs)
    if (!path.empty() && !input.empty() && fs::equivalent(path, input, absent))
      fail(Fault::kUsage, flag, ": ", path.native(), " is an input");
}

bool colour_on_stdout() {
  const auto variable = [](const char* name) {
    const char* value = std::getenv(name);
    return std::string_view(value == nullptr ? "" : value);
  };
  return ::isatty(STDOUT_FILENO) == 1 && variable("TERM") != "dumb" && variable("NO_COLOR").empty();
}

std::string read_input(const fs::path& path, std::uint64_t max_bytes) {
  if (path != "-") return read_file(path, max_bytes);
  std::string text;
  char buffer[65536];
  while (const std::size_t got = std::fread(buffer, 1, sizeof(buffer), stdin)) {
    text.append(buffer, got);
    if (text.size() > max_bytes)
      fail(Fault::kEvidence, "stdin: more than the ", max_bytes, " bytes allowed here");
  }
  if (std::ferror(stdin) != 0) fail(Fault::kSystem, "stdin: read: ", std::strerror(errno));
  return text;
}

std::string ask_passphrase(std::string_view prompt) {
  if (const char* file = std::getenv("AFTUNE_PASSPHRASE_FILE"); file != nullptr && *file != '\0') {
    const std::string text = read_file(file, kMaxPassphrase);
    return text.substr(0, text.find('\n'));
  }
  SilentTerminal terminal;
  terminal.say(cat(prompt, ": "));
  return terminal.line();
}

}  // namespace aftune::cli
