// Writes one segment whose contents tests/independent/ knows by formula: write_segment FILE
#include <cstdio>

#include "base/error.h"
#include "trace/segment.h"

namespace aftune::trace {
namespace {

template <class T, class Formula>
Bytes values(std::int64_t count, Formula&& formula) {
  Bytes bytes;
  for (std::int64_t i = 0; i < count; ++i) append_le(bytes, static_cast<T>(formula(i)));
  return bytes;
}

void write(const fs::path& path) {
  ThreadPool pool(2);
  SegmentWriter segment(path);
  const auto square = [](std::int64_t i) { return i * i % 1000; };
  const auto half = [](std::int64_t i) { return static_cast<float>(i) * 0.5f; };
  segment.add("/steps/12/tokens", DType::kI32, {7}, values<std::int32_t>(7, square), Packing::kZstd, &pool);
  segment.add("/steps/12/labels", DType::kI32, {300'000}, values<std::int32_t>(300'000, square),
              Packing::kZstd, &pool);
  segment.add("/state/raw", DType::kF32, {30, 20}, values<float>(600, half), Packing::kRaw);
  segment.add("/state/packed", DType::kF32, {3, 200'000}, values<float>(600'000, half), Packing::kZstd,
              &pool);
  segment.add("/state/scalar", DType::kF32, {}, values<float>(1, half), Packing::kRaw);
  segment.add("/state/brain", DType::kBF16, {5, 3},
              values<std::uint16_t>(15, [](std::int64_t i) { return i; }), Packing::kZstd);
  segment.commit();
}

}  // namespace
}  // namespace aftune::trace

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  try {
    aftune::trace::write(argv[1]);
  } catch (const aftune::Error& e) {
    std::fprintf(stderr, "write_segment: error: %s\n", e.what());
    return 2;
  }
  return 0;
}
