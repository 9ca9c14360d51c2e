#include "hash/blake3_lanes.h"

#include "base/error.h"

namespace aftune::hash {

namespace scalar {
extern const Blake3Lanes blake3_lanes;
}
#if defined(__x86_64__)
namespace avx2 {
extern const Blake3Lanes blake3_lanes;
}
namespace avx512 {
extern const Blake3Lanes blake3_lanes;
}
#endif

const Blake3Lanes& blake3_lanes(Isa isa) {
#if defined(__x86_64__)
  if (isa >= Isa::kAvx512) return avx512::blake3_lanes;
  if (isa == Isa::kAvx2) return avx2::blake3_lanes;
#endif
  AFTUNE_CHECK(isa == Isa::kScalar || isa == active_isa());
  return scalar::blake3_lanes;
}

}  // namespace aftune::hash
