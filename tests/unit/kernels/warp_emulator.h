#pragma once

// Enough of CUDA to run WarpLanes without a GPU: a warp is 32 threads that meet in its shuffles.

#include <barrier>
#include <thread>
#include <vector>

namespace aftune::kernels {

class Warp {
 public:
  static constexpr int kThreads = 32;

  /// body() in every thread of the warp, to the end.
  template <class Body>
  void run(const Body& body) {
    std::vector<std::jthread> threads;
    for (unsigned lane = 0; lane < kThreads; ++lane)
      threads.emplace_back([this, lane, &body] {
        current = this;
        this_lane = lane;
        body();
      });
  }

  float exchange(float value, unsigned distance) {
    slots_[this_lane] = value;
    meet();
    const float other = slots_[this_lane ^ distance];
    meet();
    return other;
  }

  void meet() { barrier_.arrive_and_wait(); }

  static inline thread_local Warp* current = nullptr;
  static inline thread_local unsigned this_lane = 0;

 private:
  std::barrier<> barrier_{kThreads};
  float slots_[kThreads] = {};
};

struct ThreadIndex {
  struct {
    operator unsigned() const { return Warp::this_lane; }  // NOLINT: used as CUDA's plain member is
  } x;
};

}  // namespace aftune::kernels

// The names that CUDA gives these.
inline constexpr aftune::kernels::ThreadIndex threadIdx{};
inline float __shfl_xor_sync(unsigned, float value, int distance) {
  return aftune::kernels::Warp::current->exchange(value, static_cast<unsigned>(distance));
}
inline void __syncwarp() {
  aftune::kernels::Warp::current->meet();
}
