#include "attacks/forgery.h"

#include <algorithm>
#include <cstring>
#include <map>

#include "audit/block_lists.h"
#include "base/error.h"
#include "hash/blake3.h"
#include "model/folder.h"
#include "trace/layout.h"
#include "trace/log.h"
#include "trace/segment.h"
#include "train/adapter_folder.h"

namespace aftune::attacks {

Forgery::Forgery(RecordedRun run)
    : run_(std::move(run)),
      leaves_(trace::Log::read(trace::Layout{run_.trace()}.log()).leaves),
      log_(leaves_) {
  log_.parse_manifest();
  log_.parse_config();
}

void Forgery::edit_manifest(const std::function<void(record::Manifest&)>& edit) {
  record::Manifest m = record::parse_manifest(leaves_[0]);
  edit(m);
  m.grid.steps = m.recipe.steps;
  leaves_[0] = record::to_leaf(m);
}

void Forgery::edit_step(std::int64_t t, const std::function<void(record::Step&)>& edit) {
  std::string& leaf = leaves_[static_cast<std::size_t>(grid().step_leaf(t))];
  record::Step step = record::parse_step(leaf, grid());
  edit(step);
  leaf = record::to_leaf(step);
}

void Forgery::edit_state(std::int64_t s, const std::function<void(record::State&)>& edit) {
  std::string& leaf = leaves_[static_cast<std::size_t>(grid().state_leaf(s))];
  record::State state = record::parse_state(leaf, grid());
  edit(state);
  leaf = record::to_leaf(state);
}

void Forgery::edit_final(const std::function<void(record::Final&)>& edit) {
  record::Final final = record::parse_final(leaves_.back(), grid(), log_.tensors().size());
  edit(final);
  leaves_.back() = record::to_leaf(final);
}

std::vector<Forgery::Dataset> Forgery::read_segment(std::int64_t segment) const {
  const trace::SegmentReader reader(trace::Layout{run_.trace()}.segment(segment));
  std::vector<Dataset> datasets;
  for (const auto& entry : reader.entries())
    datasets.push_back(
        {entry.path, entry.dtype, entry.shape, reader.read(entry.path, entry.dtype, entry.shape)});
  return datasets;
}

void Forgery::write_segment(std::int64_t segment, const std::vector<Dataset>& datasets) const {
  trace::SegmentWriter writer(trace::Layout{run_.trace()}.segment(segment));
  for (const Dataset& d : datasets)
    writer.add(d.path, d.dtype, d.shape, d.bytes,
               d.dtype == DType::kI32 ? trace::Packing::kZstd : trace::Packing::kRaw);
  writer.commit();
}

void Forgery::edit_floats(std::int64_t segment, const std::string& dataset,
                          const std::function<void(std::span<float>)>& edit) {
  auto datasets = read_segment(segment);
  for (Dataset& d : datasets) {
    if (d.path != dataset) continue;
    std::vector<float> values(d.bytes.size() / sizeof(float));
    std::memcpy(values.data(), d.bytes.data(), d.bytes.size());
    edit(values);
    std::memcpy(d.bytes.data(), values.data(), d.bytes.size());
    return write_segment(segment, datasets);
  }
  fail(Fault::kUsage, "no dataset ", dataset);
}

void Forgery::edit_ints(std::int64_t segment, const std::string& dataset,
                        const std::function<void(std::vector<std::int32_t>&)>& edit) {
  auto datasets = read_segment(segment);
  for (Dataset& d : datasets) {
    if (d.path != dataset) continue;
    std::vector<std::int32_t> values(d.bytes.size() / sizeof(std::int32_t));
    std::memcpy(values.data(), d.bytes.data(), d.bytes.size());
    edit(values);
    const ByteView bytes = std::as_bytes(std::span(values));
    d.bytes.assign(bytes.begin(), bytes.end());
    d.shape = {std::ssize(values)};
    return write_segment(segment, datasets);
  }
  fail(Fault::kUsage, "no dataset ", dataset);
}

void Forgery::drop_datasets(std::int64_t segment, const std::string& prefix) {
  auto datasets = read_segment(segment);
  std::erase_if(datasets, [&](const Dataset& d) { return d.path.starts_with(prefix); });
  write_segment(segment, datasets);
}

void Forgery::add_dataset(std::int64_t segment, const std::string& dataset) {
  auto datasets = read_segment(segment);
  datasets.push_back({dataset, DType::kI32, {1}, Bytes(4)});
  write_segment(segment, datasets);
}

record::BlockState Forgery::block_state(std::int64_t s, int block) const {
  const trace::SegmentReader reader(trace::Layout{run_.trace()}.segment(s));
  const audit::BlockLists lists(log_, block);
  record::BlockState state{lists.parameter_specs(), {}, lists.moment_specs(), {}};
  const auto digest = [&](const TensorSpec& spec) {
    return hash::blake3(reader.read(trace::state_dataset(spec.name), spec.dtype, spec.shape));
  };
  for (const TensorSpec& spec : state.parameter_specs) state.parameters.push_back(digest(spec));
  for (const TensorSpec& spec : state.moment_specs) state.moments.push_back(digest(spec));
  return state;
}

void Forgery::rehash_state(std::int64_t s) {
  edit_state(s, [&](record::State& state) {
    for (int b = 0; b < grid().blocks(); ++b)
      state.blocks[static_cast<std::size_t>(b)] = record::block_digest(block_state(s, b));
  });
}

void Forgery::rehash_final() {
  const std::int64_t last = grid().step_blocks();
  const trace::SegmentReader reader(trace::Layout{run_.trace()}.segment(last));
  std::map<std::string, Bytes> bytes;
  std::vector<Digest> digests;
  for (const TensorSpec& spec : log_.tensors()) {
    bytes[spec.name] = reader.read(trace::state_dataset(spec.name), spec.dtype, spec.shape);
    digests.push_back(hash::blake3(bytes[spec.name]));
  }
  const std::string name(log_.manifest().recipe.is_lora() ? train::kAdapterWeights : "model.safetensors");
  fs::remove(run_.out() / name);
  const Digest file =
      model::write_safetensors(run_.out() / name, log_.tensors(),
                               [&](const TensorSpec& spec) { return ByteView(bytes.at(spec.name)); });
  edit_final([&](record::Final& final) {
    final.exported.digests = digests;
    final.exported.root = record::tensor_root(log_.tensors(), digests);
    final.files[name] = file;
    for (int b = 0; b < grid().blocks(); ++b) {
      const record::BlockState state = block_state(last, b);
      final.moments[static_cast<std::size_t>(b)] = record::list_digest(state.moment_specs, state.moments);
    }
  });
}

RecordedRun& Forgery::seal() {
  std::string text;
  for (const std::string& leaf : leaves_) text += leaf + '\n';
  write_file(trace::Layout{run_.trace()}.log(), text);
  attacks::seal(run_.trace());
  return run_;
}

void flip_bit(const fs::path& file, std::uint64_t bit) {
  std::string text = read_file(file, std::uint64_t{1} << 30);
  AFTUNE_CHECK(bit / 8 < text.size());
  text[bit / 8] = static_cast<char>(text[bit / 8] ^ (1 << (bit % 8)));
  write_file(file, text);
}

}  // namespace aftune::attacks
