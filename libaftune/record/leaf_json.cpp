#include "record/leaf_json.h"

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
