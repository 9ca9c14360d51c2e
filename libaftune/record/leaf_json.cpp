#include "record/leaf_json.h"

#include <algorithm>

#include "base/error.h"

namespace aftune::record {

std::string seal_leaf(std::string_view kind, Json members) {
  members["kind"] = kind;
  members["version"] = kLeafVersion;
  std::string leaf = within(kind, [&] { return canonical_json(members); });
  if (leaf.size() > kMaxLeafBytes)
    fail(Fault::kUsage, "the ", kind, " leaf takes ", leaf.size(), " bytes, and a leaf may have ",
         kMaxLeafBytes, kind == "step" ? ": use more layers per block" : "");
  return leaf;
}

namespace {

// What a driver or a library calls itself: never empty, and nothing that a terminal would obey.
std::string machine_text(Fields& fields, std::string_view key) {
  std::string text = fields.text(key, 256);
  const bool plain =
      !text.empty() && std::all_of(text.begin(), text.end(), [](char c) { return c >= ' ' && c <= '~'; });
  if (!plain) fail(Fault::kEvidence, "numerics: \"", key, "\" is not a name");
  return text;
}

}  // namespace

Json numerics_json(const std::vector<std::string>& ops, const std::string& profile,
                   const std::optional<NativeMachine>& native) {
  AFTUNE_CHECK(!native || profile == kNativeProfile);
  Json json = {{"ops", ops}, {"profile", profile}};
  if (native)
    json.update(
        {{"capability", native->capability}, {"device", native->device}, {"library", native->library}});
  return json;
}

void read_numerics(Fields& fields, std::vector<std::string>& ops, std::string& profile,
                   std::optional<NativeMachine>* native) {
  Fields inner(fields.object("numerics"), "numerics");
  for (const Json& op : inner.array("ops")) {
    if (!op.is_string()) fail(Fault::kEvidence, "numerics: \"ops\" has an entry that is not a string");
    ops.push_back(op.get<std::string>());
  }
  if (std::adjacent_find(ops.begin(), ops.end(), std::greater_equal<>()) != ops.end())
    fail(Fault::kEvidence, "numerics: \"ops\" is not sorted, or names an op twice");
  profile = inner.text("profile", 64);
  if (native != nullptr && profile == kNativeProfile)
    *native = {machine_text(inner, "device"), machine_text(inner, "capability"),
               machine_text(inner, "library")};
  inner.done();
}

Json hex_list(const std::vector<Digest>& digests) {
  Json list = Json::array();
  for (const Digest& d : digests) list.push_back(to_hex(d));
  return list;
}

Json to_json(const TensorList& list) {
  return {{"dtype", name(list.dtype)}, {"root", to_hex(list.root)}, {"tensors", hex_list(list.digests)}};
}

TensorList tensor_list(Fields& fields, std::string_view key, std::size_t count) {
  Fields inner(fields.object(key), std::string(key));
  TensorList list;
  list.dtype = within(key, [&] { return dtype_from_name(inner.text("dtype", 16)); });
  list.root = inner.digest("root");
  list.digests = inner.digests("tensors", count == std::string::npos ? inner.array("tensors").size() : count);
  inner.done();
  return list;
}

}  // namespace aftune::record
