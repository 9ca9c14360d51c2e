#include <algorithm>
#include <unordered_map>

#include "audit/challenge.h"
#include "base/error.h"
#include "hash/blake3.h"
#include "seal/note.h"

namespace aftune::audit {
namespace {

constexpr std::string_view kDrawContext = "aftune/draw/1";

void append_prefixed(Bytes& out, ByteView bytes) {
  append_le(out, static_cast<std::uint64_t>(bytes.size()));
  out.insert(out.end(), bytes.begin(), bytes.end());
}

// The note's signed text only: signature lines can be added or changed without the text changing, and a
// provider must not be able to try seeds that way.
Digest draw_key(const Challenge& challenge) {
  const std::string text = seal::Note::parse(challenge.note).text;
  const std::string plan = canonical_json(to_json(challenge.plan));
  Bytes material;
  append_prefixed(material, as_bytes(text));
  append_prefixed(material, std::as_bytes(std::span(challenge.seed)));
  append_prefixed(material, as_bytes(plan));
  return hash::blake3_derive_key(kDrawContext, material);
}

// The endless little-endian 64-bit words of one stratum.
class Words {
 public:
  Words(const Digest& key, std::string_view stratum) : xof_(hash::Blake3::keyed(key)) {
    xof_.update(stratum);
  }

  std::uint64_t next() {
    if (at_ == buffer_.size()) {
      xof_.finish_xof(offset_, buffer_);
      offset_ += buffer_.size();
      at_ = 0;
    }
    const auto word = load_le<std::uint64_t>(buffer_.data() + at_);
    at_ += sizeof(word);
    return word;
  }

  // Uniform in [0, n): words at or above the largest multiple of n are passed over.
  std::uint64_t below(std::uint64_t n) {
    const std::uint64_t remainder = (~std::uint64_t{0} % n + 1) % n;  // 2^64 mod n
    for (;;) {
      const std::uint64_t word = next();
      if (remainder == 0 || word < std::uint64_t{0} - remainder) return word % n;
    }
  }

 private:
  hash::Blake3 xof_;
  std::array<std::byte, 1024> buffer_{};
  std::size_t at_ = 1024;
  std::uint64_t offset_ = 0;
};

// The first `count` elements of a Fisher-Yates shuffle of 0 .. total - 1; only moved elements are kept.
std::vector<std::int64_t> draw(Words words, std::int64_t total, std::int64_t count) {
  count = std::min(count, total);
  std::unordered_map<std::int64_t, std::int64_t> moved;
  const auto at = [&](std::int64_t i) {
    const auto found = moved.find(i);
    return found == moved.end() ? i : found->second;
  };
  std::vector<std::int64_t> out;
  for (std::int64_t i = 0; i < count; ++i) {
    const auto j = i + static_cast<std::int64_t>(words.below(static_cast<std::uint64_t>(total - i)));
    out.push_back(at(j));
    moved[j] = at(i);
  }
  return out;
}

std::vector<Cell> every_cell(const record::Grid& grid) {
  std::vector<Cell> cells;
  for (int block = 0; block < grid.blocks(); ++block)
    for (std::int64_t s = 0; s < grid.step_blocks(); ++s) cells.push_back({block, s});
  return cells;
}

std::vector<Cell> draw_strata(const Challenge& challenge, const record::Grid& grid) {
  const Digest key = draw_key(challenge);
  const Plan& plan = challenge.plan;
  const int blocks = grid.blocks();
  const std::int64_t rows = grid.step_blocks();
  const int last_block = grid.block_of_stage(grid.stages() - 1);
  std::vector<Cell> cells;
  for (const std::int64_t i : draw({key, "uniform"}, grid.cells(), plan.uniform))
    cells.push_back({static_cast<int>(i % blocks), i / blocks});
  for (const std::int64_t s : draw({key, "inputs"}, rows, plan.inputs)) cells.push_back({0, s});
  for (const std::int64_t s : draw({key, "objective"}, rows, plan.objective))
    cells.push_back({last_block, s});
  for (const std::int64_t b : draw({key, "first-row"}, blocks, plan.ends))
    cells.push_back({static_cast<int>(b), 0});
  for (const std::int64_t b : draw({key, "last-row"}, blocks, plan.ends))
    cells.push_back({static_cast<int>(b), rows - 1});
  return cells;
}

}  // namespace

record::Grid population_of(const Challenge& challenge, const record::Grid& grid) {
  record::Grid population = grid;
  if (!challenge.answers.empty()) population.steps = std::ssize(challenge.answers);
  return population;
}

std::vector<Cell> draw_cells(const Challenge& challenge, const record::Grid& grid) {
  AFTUNE_CHECK(grid.blocks() > 0 && grid.step_blocks() > 0);
  if (!challenge.answers.empty() && challenge.answers.back() > grid.step_blocks())
    fail(Fault::kUsage, "challenge: \"answers\": the log has no answer in leaf ", challenge.answers.back());
  const record::Grid population = population_of(challenge, grid);
  std::vector<Cell> cells = challenge.plan.all ? every_cell(population) : draw_strata(challenge, population);
  for (Cell& cell : cells) {
    if (challenge.answers.empty()) break;
    cell.step_block = challenge.answers[static_cast<std::size_t>(cell.step_block)] - 1;
  }
  for (const Cell& cell : challenge.must) {
    if (cell.block >= grid.blocks() || cell.step_block >= grid.step_blocks())
      fail(Fault::kUsage, "challenge: \"must\": the run has no cell [", cell.block, ",", cell.step_block,
           "]");
    cells.push_back(cell);
  }
  std::sort(cells.begin(), cells.end());
  cells.erase(std::unique(cells.begin(), cells.end()), cells.end());
  return cells;
}

}  // namespace aftune::audit
