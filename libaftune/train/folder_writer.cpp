#include "train/folder_writer.h"

#include <unistd.h>

#include <utility>

#include "base/error.h"
#include "hash/blake3.h"
#include "model/folder.h"

namespace aftune::train {
namespace {

fs::path parent_of(const fs::path& path) {
  return path.has_parent_path() ? path.parent_path() : fs::path(".");
}

// A folder beside the final one that disappears with this object unless it was renamed.
class TemporaryFolder {
 public:
  explicit TemporaryFolder(const fs::path& final) : path_(final.native() + cat(".tmp.", ::getpid())) {
    std::error_code error;
    fs::create_directories(parent_of(final), error);
    fs::remove_all(path_, error);
    if (!fs::create_directory(path_, error))
      fail(Fault::kSystem, path_.native(), ": create: ", error.message());
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  ~TemporaryFolder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  const fs::path& path() const { return path_; }
  void rename_to(const fs::path& final) {
    sync_directory(path_);
    std::error_code error;
    fs::rename(path_, final, error);
    if (error) fail(Fault::kSystem, final.native(), ": rename: ", error.message());
    sync_directory(parent_of(final));
  }

 private:
  fs::path path_;
};

// What an export that was killed left beside the folder: its name, ".tmp." and a process id.
void remove_leftovers(const fs::path& out) {
  if (!fs::is_directory(parent_of(out))) return;
  const std::string prefix = out.filename().native() + ".tmp.";
  std::vector<fs::path> leftovers;
  for (const fs::directory_entry& entry : fs::directory_iterator(parent_of(out))) {
    const std::string name = entry.path().filename().native();
    if (name.starts_with(prefix) && name.size() > prefix.size() &&
        name.find_first_not_of("0123456789", prefix.size()) == name.npos)
      leftovers.push_back(entry.path());
  }
  for (const fs::path& path : leftovers) fs::remove_all(path);
}

bool same_files(const fs::path& folder, const std::map<std::string, Digest>& files) {
  for (const auto& [name, digest] : files) {
    if (!fs::is_regular_file(folder / name)) return false;
    if (hash::blake3(MappedFile(folder / name).bytes()) != digest) return false;
  }
  return true;
}

}  // namespace

fs::path without_slash(const fs::path& path) {
  return path.has_filename() ? path : path.parent_path();
}

void FolderWriter::put(const std::string& name, const std::string& text) {
  write_file(folder_ / name, text);
  files_[name] = hash::blake3(text);
}

void FolderWriter::put_weights(const std::string& name, std::vector<TensorSpec> specs,
                               const std::function<ByteView(const TensorSpec&)>& bytes_of) {
  files_[name] = model::write_safetensors(folder_ / name, std::move(specs), bytes_of);
}

std::map<std::string, Digest> write_folder(const fs::path& out,
                                           const std::function<void(FolderWriter&)>& write) {
  const fs::path final = without_slash(out);
  remove_leftovers(final);
  TemporaryFolder temporary(final);
  FolderWriter folder(temporary.path());
  write(folder);
  if (!fs::exists(final) || fs::is_empty(final))
    temporary.rename_to(final);
  else if (!same_files(final, folder.files()))
    fail(Fault::kUsage, final.native(), ": exists and is not what this run exports");
  return folder.files();
}

}  // namespace aftune::train
