// Runs a fuzz target once on each file of the folders and files that are named: the corpus, without clang.
#include <algorithm>
#include <cstdio>
#include <vector>

#include "base/files.h"
#include "fuzz/refuses.h"

int main(int argc, char** argv) {
  using namespace aftune;
  std::vector<fs::path> files;
  for (int i = 1; i < argc; ++i) {
    if (!fs::is_directory(argv[i]))
      files.emplace_back(argv[i]);
    else
      for (const auto& entry : fs::directory_iterator(argv[i])) files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  for (const fs::path& path : files) {
    // Said before it is run: a target that ends the process says no more.
    std::printf("%s\n", path.filename().c_str());
    std::fflush(stdout);
    const std::string text = read_file(path, 1 << 24);
    LLVMFuzzerTestOneInput(reinterpret_cast<const unsigned char*>(text.data()), text.size());
  }
  std::printf("%zu inputs\n", files.size());
  return files.empty() ? 1 : 0;
}
