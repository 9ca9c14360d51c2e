#pragma once

#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "audit/log_view.h"
#include "audit/source.h"
#include "audit/verdict.h"
#include "record/salts.h"

namespace aftune::audit {

/// The salts that came with an answer, by record::to_text of what they are for. Asking for another one throws
/// Rejection `absent`. That a salt is the wrong one shows when a digest is compared.
class OpenedSalts : public record::Salts {
 public:
  explicit OpenedSalts(const std::map<std::string, Digest>& salts) : salts_(salts) {}
  bool has(const record::SaltName& name) const override { return salts_.count(to_text(name)) != 0; }
  Digest salt(const record::SaltName& name) const override;

 private:
  const std::map<std::string, Digest>& salts_;
};

/// Of a trace without its run secret: asking for any throws Rejection `absent`.
class NoSalts : public record::Salts {
 public:
  static constexpr const char* kWhy = "the digests of this run are salted, and the secret is not at hand";
  bool has(const record::SaltName&) const override { return false; }
  Digest salt(const record::SaltName& name) const override;
};

/// Every boundary that a cell of the block is given or computes: both sides of it are known from then on.
std::set<int> boundaries_of_block(const record::Grid& grid, int block);
/// Of these blocks, in the evidence of a cell each of one step block: what is given to their stages. Of
/// native runs also what these made of it, since that is compared by value and not by its digest.
std::set<std::pair<Side, int>> opened_boundaries(const LogView& log, const std::set<int>& blocks);
/// The states that are in the evidence of cells of step block s, likewise.
std::vector<std::int64_t> opened_states(const LogView& log, std::int64_t s);

/// What the replay of these cells compares, and the roots of the client's data. Opener and verifier derive it
/// apart. State 0 has no salts.
std::vector<record::SaltName> salts_of_cells(const LogView& log, const std::vector<Cell>& cells);
/// What the rows of these cells are compared with besides: the labels of the first stage's steps, which
/// follow from the rows. Middle blocks have none.
std::vector<record::SaltName> salts_of_rows(const LogView& log, const std::vector<Cell>& cells);
/// Of each exported tensor, in the order of LogView::tensors(), and then of the exported files of weights.
/// They show that files at hand are the exported ones, and nothing to one who has not the files.
std::vector<record::SaltName> salts_of_export(const LogView& log);

}  // namespace aftune::audit
