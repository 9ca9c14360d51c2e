// BLAKE3 on the device against that of the host.

#include "kernels/cuda/blake3.h"

#include "gpu/device.h"
#include "hash/blake3.h"

namespace aftune::kernels {
namespace {

using Octets = std::vector<std::uint8_t>;

Octets octets(std::size_t n) {
  Octets bytes(n);
  for (std::size_t i = 0; i < n; ++i) bytes[i] = static_cast<std::uint8_t>(i * 2654435761u >> 13);
  return bytes;
}

Digest host_digest(const Octets& bytes) {
  return hash::blake3(std::as_bytes(std::span(bytes)));
}

Digest digest_in(const OnDevice<std::uint8_t>& memory) {
  const Octets bytes = memory.get();
  Digest digest;
  std::copy(bytes.begin(), bytes.end(), digest.bytes.begin());
  return digest;
}

class DeviceBlake3 : public OnSchedules {
 protected:
  const OnDevice<std::uint8_t> workspace_{static_cast<std::int64_t>(cuda::kBlake3Workspace)};
  const OnDevice<std::uint8_t> digest_{static_cast<std::int64_t>(cuda::kBlake3DigestBytes)};
};
AFTUNE_FOR_SCHEDULES(DeviceBlake3);

TEST_P(DeviceBlake3, Lengths) {
  const std::vector<std::size_t> lengths =
      unless_sanitized<std::size_t>({0,     1,     3,     63,    64,    65,    127,   128,    1023,   1024,
                                     1025,  2047,  2048,  2049,  3072,  3073,  4096,  5120,   8191,   15360,
                                     16383, 16384, 16385, 16387, 31744, 32768, 32769, 131072, 131073, 200001},
                                    {0, 65, 1025, 3073, 16385, 50000});
  for (const std::size_t n : lengths) {
    const Octets bytes = octets(n);
    const OnDevice<std::uint8_t> on(bytes);
    cuda::blake3(nullptr, on.data(), n, workspace_.data(), digest_.data());
    EXPECT_EQ(to_hex(host_digest(bytes)), to_hex(digest_in(digest_))) << n;
  }
}

TEST_P(DeviceBlake3, LargeBuffers) {
  if (kSanitized) GTEST_SKIP() << "for the time it takes";
  const Octets bytes = octets((5 << 20) + 77);
  const OnDevice<std::uint8_t> on(bytes);
  cuda::blake3(nullptr, on.data(), bytes.size(), workspace_.data(), digest_.data());
  EXPECT_EQ(to_hex(host_digest(bytes)), to_hex(digest_in(digest_)));
}

// Pieces of any length, from any byte on; the digest may be asked for at any time and more may follow.
TEST_P(DeviceBlake3, Pieces) {
  const Octets bytes = octets(kSanitized ? 40000 : 300000);
  const OnDevice<std::uint8_t> on(bytes);
  for (const std::size_t first :
       {std::size_t{1}, std::size_t{1000}, std::size_t{16384}, std::size_t{20000}}) {
    cuda::Blake3 hash(workspace_.data());
    hash::Blake3 host;
    std::size_t at = 0, piece = first;
    while (at < bytes.size()) {
      const std::size_t size = std::min(piece, bytes.size() - at);
      hash.update(nullptr, on.data() + at, size);
      host.update(std::as_bytes(std::span(bytes)).subspan(at, size));
      at += size;
      piece = piece * 3 + 1;
      hash.finish(nullptr, digest_.data());
      EXPECT_EQ(to_hex(host.finish()), to_hex(digest_in(digest_))) << at;
    }
    EXPECT_EQ(to_hex(host_digest(bytes)), to_hex(digest_in(digest_)));
    hash.reset();
    hash.finish(nullptr, digest_.data());
    EXPECT_EQ(to_hex(host_digest({})), to_hex(digest_in(digest_)));
  }
}

}  // namespace
}  // namespace aftune::kernels
