// What the device makes of whole pieces against the host's tree.

#include "kernels/cuda/blake3.h"

#include "base/accelerator.h"
#include "gpu/device.h"
#include "hash/blake3_tree.h"

namespace aftune::kernels {
namespace {

using Octets = std::vector<std::uint8_t>;

constexpr std::size_t kPiece = Accelerator::kHashPiece;

class DeviceBlake3 : public OnSchedules {
 protected:
  // Pieces from byte `from` of some memory on.
  static void expect_same(std::int64_t pieces, std::size_t from, std::uint64_t counter) {
    const std::size_t size = static_cast<std::size_t>(pieces) * kPiece;
    Octets bytes(from + size);
    for (std::size_t i = 0; i < bytes.size(); ++i)
      bytes[i] = static_cast<std::uint8_t>(i * 2654435761u >> 13);
    Octets expected(static_cast<std::size_t>(pieces) * cuda::kBlake3ValueBytes);
    const hash::Blake3Mode mode = hash::blake3_plain_mode();
    const ByteView all = std::as_bytes(std::span(bytes)).subspan(from);
    for (std::size_t i = 0; i < static_cast<std::size_t>(pieces); ++i)
      hash::blake3_subtree(mode, all.subspan(i * kPiece, kPiece), counter + i * kPiece / 1024, nullptr)
          .chaining_value(mode, reinterpret_cast<std::byte*>(&expected[i * cuda::kBlake3ValueBytes]));
    const OnDevice<std::uint8_t> on(bytes), values(static_cast<std::int64_t>(expected.size()));
    cuda::blake3_values(nullptr, on.data() + from, pieces, counter, values.data());
    EXPECT_EQ(values.get(), expected) << pieces << " pieces from byte " << from << ", chunk " << counter;
  }
};
AFTUNE_FOR_SCHEDULES(DeviceBlake3);

TEST_P(DeviceBlake3, Pieces) {
  for (const std::int64_t pieces : {0, 1, 2, 3}) expect_same(pieces, 0, 0);
}

TEST_P(DeviceBlake3, FromAnyByteAndChunk) {
  for (const std::size_t from : {1, 4, 16}) expect_same(1, from, 0);
  for (const std::uint64_t counter :
       {std::uint64_t{128}, (std::uint64_t{1} << 32) - 64, std::uint64_t{1} << 53})
    expect_same(1, 0, counter);
}

}  // namespace
}  // namespace aftune::kernels
