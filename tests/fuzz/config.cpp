// config.json, and the tensors that it makes a model of.
#include "model/config.h"

#include "fuzz/json_input.h"

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, unsigned long size) {
  using namespace aftune;
  fuzz::takes([&] {
    const model::Config config = model::Config::parse(fuzz::text_of(data, size));
    // Sizes of the largest model that is taken still fit 63 bits, moments and all.
    std::uint64_t bytes = 0;
    for (const TensorSpec& spec : model::all_tensors(config)) bytes += byte_size(spec);
    AFTUNE_CHECK(bytes > 0 && bytes < std::uint64_t{1} << 60);
  });
  return 0;
}
