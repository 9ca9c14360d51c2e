#include "audit/final_params.h"

#include "audit/block_lists.h"
#include "audit/block_state.h"
#include "audit/rejection.h"
#include "base/error.h"
#include "hash/blake3.h"

namespace aftune::audit {
namespace {

record::SaltName state_salt(const LogView& log, int block, const std::string& tensor) {
  return {log.grid().state_leaf(log.grid().step_blocks()), record::Role::kParameter, block, tensor};
}

// What is exported of a parameter: its bytes, or those of its rounding.
Digest exported_digest(DType dtype, const Buffer& values) {
  return dtype == DType::kF32 ? hash::blake3(values.bytes()) : hash::blake3(narrow(dtype, values));
}

void check_block(const LogView& log, const record::Final& final, int block, const FinalReader& read,
                 const std::string& where, Findings& findings) {
  const BlockLists lists(log, block);
  std::vector<Digest> published;
  // Of what the leaf does not commit to, a wrong rounding would say nothing about the provider.
  std::vector<Rejection> differences;
  for (std::size_t i = 0; i < lists.parameter_specs().size(); ++i) {
    const TensorSpec& spec = lists.parameter_specs()[i];
    Buffer values(element_count(spec.shape));
    read(spec, values.mutable_bytes());
    published.push_back(log.published(state_salt(log, block, spec.name), hash::blake3(values.bytes())));
    const Digest expected = log.published(log.exported_salt(final, block, spec.name),
                                          exported_digest(final.exported.dtype, values));
    const Digest& found = final.exported.digests[lists.positions()[i]];
    if (expected != found)
      differences.emplace_back(Check::kExport, Code::kExport,
                               cat(LogView::line(log.grid().final_leaf()), " ", spec.name),
                               cat("the last state rounded: ", expected_found(expected, found)));
  }
  const auto b = static_cast<std::size_t>(block);
  const Digest found =
      record::block_digest(record::list_digest(lists.parameter_specs(), published), final.moments[b]);
  const Digest expected = log.state(log.grid().step_blocks()).blocks[b];
  if (found != expected)
    throw Rejection(Code::kEvidence, where, cat("block ", block, ": ", expected_found(expected, found)));
  if (!differences.empty()) throw differences.front();
  findings.held(Check::kExport);
}

}  // namespace

int check_final_params(const LogView& log, const FinalReader& read, const std::string& where,
                       Findings& findings) {
  const record::Final final = log.final();
  int held = 0;
  for (int block = 0; block < log.grid().blocks(); ++block) {
    try {
      check_block(log, final, block, read, where, findings);
      ++held;
    } catch (const Rejection& rejection) {
      report(rejection, findings);
    }
  }
  return held;
}

std::vector<record::SaltName> salts_of_final_params(const LogView& log) {
  const record::Final final = log.final();
  std::vector<record::SaltName> list;
  for (int block = 0; block < log.grid().blocks(); ++block) {
    const BlockLists lists(log, block);
    for (const TensorSpec& spec : lists.parameter_specs()) {
      list.push_back(state_salt(log, block, spec.name));
      list.push_back(log.exported_salt(final, block, spec.name));
    }
  }
  return list;
}

}  // namespace aftune::audit
