// The device that the tools choose by --device cuda: its arithmetic by the known answers of the self-test,
// its memory, and whole training runs on it against runs on the processor.

#include "kernels/cuda/cuda_device.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "gpu/device.h"
#include "hash/blake3.h"
#include "kernels/ops.h"
#include "scratch.h"
#include "small_image_job.h"
#include "small_job.h"
#include "tensor/tensor.h"

namespace aftune::kernels {
namespace {

// Nothing that is queued is done before it is waited for, as on a device that is slow.
class PutOff {
 public:
#if !defined(AFTUNE_ON_GPU)
  PutOff() {
    emulator::put_off(true);
  }
  PutOff(const PutOff&) = delete;
  PutOff& operator=(const PutOff&) = delete;
  ~PutOff() {
    emulator::put_off(false);
  }
#endif
};

class OnCudaDevice : public ::testing::Test {
 protected:
  OnCudaDevice() : device_(cuda::open_device(0)) { use_memory_of(device_.get()); }
  ~OnCudaDevice() override { use_memory_of(nullptr); }

  PutOff put_off_;
  std::unique_ptr<Device> device_;
};

TEST_F(OnCudaDevice, GivesTheKnownAnswers) {
  const char* op = "none";
  EXPECT_TRUE(self_test(&op, device_.get())) << op;
}

TEST_F(OnCudaDevice, HoldsItsBuffersAndNothingElse) {
  const Buffer small(3), large(std::int64_t{1} << 18);
  const std::vector<float> elsewhere(5);
  for (const Buffer* buffer : {&small, &large}) {
    EXPECT_TRUE(device_->holds(buffer->data()));
    EXPECT_TRUE(device_->holds(buffer->data() + buffer->size() - 1));
  }
  EXPECT_FALSE(device_->holds(elsewhere.data()));
  EXPECT_FALSE(device_->holds(nullptr));
}

TEST_F(OnCudaDevice, CopiesAndClears) {
  ThreadPool pool(1, device_.get());
  Buffer x(100'000);
  for (std::int64_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(i);
  const Buffer copy = x.clone(pool);
  x.clear(pool);
  for (std::int64_t i = 0; i < x.size(); ++i) {
    ASSERT_EQ(copy[i], static_cast<float>(i));
    ASSERT_EQ(x[i], 0.0f);
  }
}

TEST_F(OnCudaDevice, ReadsListsBeforeItReturnsAndDoesTheRestInOrder) {
  constexpr std::int64_t kRows = 1000, kCalls = 300, kWidth = 3;
  ThreadPool pool(1, device_.get());
  Buffer table(kRows * kWidth), picked(kCalls * kWidth);
  for (std::int64_t i = 0; i < table.size(); ++i) table[i] = static_cast<float>(i);
  {
    QueuedCalls queued(pool);
    std::vector<std::int64_t> row(1);
    for (std::int64_t i = 0; i < kCalls; ++i) {
      row[0] = (7 * i) % kRows;
      gather_rows(pool, 1, kWidth, row.data(), table.data(), picked.data() + i * kWidth);
      add(pool, kWidth, picked.data() + i * kWidth, picked.data() + i * kWidth, picked.data() + i * kWidth);
    }
    // More than was ever made ready for lists, while earlier ones are on their way.
    std::vector<std::int64_t> many(300'000, 1);
    Buffer last(std::ssize(many));
    gather_rows(pool, std::ssize(many), 1, many.data(), table.data(), last.data());
    many.assign(many.size(), 2);
    pool.wait_for_accelerator();
    EXPECT_EQ(last[last.size() - 1], 1.0f);
    scale(pool, kWidth, 0.5f, picked.data(), picked.data());
    queued.finish();
  }
  for (std::int64_t i = 0; i < picked.size(); ++i)
    ASSERT_EQ(picked[i], (i < kWidth ? 1.0f : 2.0f) *
                             static_cast<float>(7 * (i / kWidth) % kRows * kWidth + i % kWidth));
}

TEST_F(OnCudaDevice, GivesResultsOfWhatWasQueuedBefore) {
  ThreadPool pool(1, device_.get());
  Buffer x(2000);
  x.clear(pool);
  QueuedCalls queued(pool);
  Buffer ones(x.size());
  ones.clear(pool);
  pool.wait_for_accelerator();
  for (std::int64_t i = 0; i < ones.size(); ++i) ones[i] = 1.0f;
  for (int i = 0; i < 3; ++i) add(pool, x.size(), x.data(), ones.data(), x.data());
  EXPECT_EQ(sum_squares(pool, x.size(), x.data()), 9.0 * 2000);
  EXPECT_FALSE(any_nonfinite(pool, x.size(), x.data()));
}

TEST_F(OnCudaDevice, WidensIntoMemoryThatQueuedWorkStillUses) {
  ThreadPool pool(2, device_.get());
  const Narrow half{DType::kF16, Bytes(2 * 1000)};
  Buffer x(1000);
  x.clear(pool);
  QueuedCalls queued(pool);
  {
    Buffer y(1000);
    add(pool, x.size(), x.data(), x.data(), y.data());
  }
  const Buffer wide = widen(pool, half);
  for (std::int64_t i = 0; i < wide.size(); ++i) ASSERT_EQ(wide[i], 0.0f);
}

#if !defined(AFTUNE_ON_GPU) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
// That such a mistake shows is what the tests of whole runs rely on.
TEST_F(OnCudaDevice, WritingWhereWorkIsQueuedShows) {
  ThreadPool pool(1, device_.get());
  Buffer x(5), y(5);
  QueuedCalls queued(pool);
  add(pool, x.size(), x.data(), x.data(), y.data());
  EXPECT_DEATH(x[0] = 1.0f, "written while it had work queued");
  pool.wait_for_accelerator();
  x[0] = 1.0f;
}
#endif

TEST_F(OnCudaDevice, HashesWhatItHoldsAndWhatItDoesNot) {
  ThreadPool pool(1, device_.get());
  for (const std::int64_t count : {1, 65535, 65536, 65537, 98304, 200'001}) {
    Buffer x(count);
    std::vector<float> same(static_cast<std::size_t>(count));
    for (std::int64_t i = 0; i < count; ++i)
      same[static_cast<std::size_t>(i)] = x[i] = 0.5f * static_cast<float>(i);
    const Digest expected = hash::blake3(std::as_bytes(std::span(same)));
    EXPECT_EQ(hash::blake3(x.bytes(), &pool), expected) << count;
    EXPECT_EQ(hash::blake3(std::as_bytes(std::span(same)), &pool), expected) << count;
    hash::Blake3 pieces;
    const std::size_t first = x.bytes().size() / 3;
    pieces.update(x.bytes().first(first), &pool).update(x.bytes().subspan(first), &pool);
    EXPECT_EQ(pieces.finish(), expected) << count;
  }
}

TEST_F(OnCudaDevice, SaysWhatItCannotDo) {
  const Buffer q(300), o(300), max(1), sum(1);
  const std::int64_t starts[] = {0, 1};
  try {
    device_->attention({1, 1, 300, 1.0f}, 1, starts, q.data(), q.data(), q.data(),
                       const_cast<float*>(o.data()), const_cast<float*>(max.data()),
                       const_cast<float*>(sum.data()));
    FAIL() << "no error";
  } catch (const Error& e) {
    EXPECT_EQ(e.fault(), Fault::kDevice);
    EXPECT_STREQ(e.what(), "cuda: attention: head_dim is 300; it may be 256");
  }
}

TEST_F(OnCudaDevice, SaysThatThereIsNotSoMuchMemory) {
  if (kSanitized) GTEST_SKIP() << "the sanitizers' allocators abort by design";
  try {
    const Buffer most(std::int64_t{1} << 50);
    FAIL() << "no error";
  } catch (const Error& e) {
    EXPECT_EQ(e.fault(), Fault::kSystem);
    EXPECT_STREQ(e.what(), "no memory for a buffer of 4503599627370496 bytes");
  }
  Buffer x(5);  // and goes on
  ThreadPool pool(1, device_.get());
  x.clear(pool);
  EXPECT_EQ(x[4], 0.0f);
}

TEST(CudaDevices, ThereIsNoThousandthOne) {
  try {
    cuda::open_device(999);
    FAIL() << "no error";
  } catch (const Error& e) {
    EXPECT_EQ(e.fault(), Fault::kDevice);
    EXPECT_EQ(std::string(e.what()).rfind("cuda: there ", 0), 0u) << e.what();
  }
}

class TrainingOnCudaDevice : public ::testing::TestWithParam<const char*> {
 protected:
  PutOff put_off_;
};

void expect_same_log(const testing_support::SmallJob& job, const char* profile) {
  const auto run = [&](const std::string& name, Accelerator* accelerator) {
    train::TrainOptions options = job.options(name);
    options.profile = *profile_from_name(profile);
    options.recipe.steps = kSanitized ? 1 : 3;
    options.recipe.batch_size = 2;
    options.accelerator = accelerator;
    train::train(options, nullptr);
    return job.log(name);
  };
  const std::string expected = run("processor", nullptr);
  const std::unique_ptr<Device> device = cuda::open_device(0);
  use_memory_of(device.get());
  EXPECT_EQ(run("device", device.get()), expected);
  use_memory_of(nullptr);
}

TEST_P(TrainingOnCudaDevice, LeavesTheSameLog) {
  const testing_support::Scratch scratch("device");
  expect_same_log(testing_support::SmallJob(scratch.path()), GetParam());
}

TEST_P(TrainingOnCudaDevice, LeavesTheSameLogOfGpt2) {
  const testing_support::Scratch scratch("device-gpt2");
  const testing_support::SmallJob job(scratch.path());
  job.put("base/config.json", R"({"model_type":"gpt2","vocab_size":512,"n_embd":16,"n_layer":2,"n_head":2,)"
                              R"("n_positions":64,"eos_token_id":2})");
  expect_same_log(job, GetParam());
}

#if !defined(AFTUNE_ON_GPU)
// A GPU that the program was not built for.
TEST_P(TrainingOnCudaDevice, EndsAtOnceWhereThereIsNoCodeForTheDevice) {
  const testing_support::Scratch scratch("device-code");
  const testing_support::SmallJob job(scratch.path());
  const std::unique_ptr<Device> device = cuda::open_device(0);
  use_memory_of(device.get());
  train::TrainOptions options = job.options("foreign");
  options.profile = *profile_from_name(GetParam());
  options.accelerator = device.get();
  emulator::have_code(false);
  try {
    train::train(options, nullptr);
    ADD_FAILURE() << "no error";
  } catch (const Error& e) {
    EXPECT_EQ(e.fault(), Fault::kDevice);
    EXPECT_NE(
        std::string(e.what()).find("cuda: launch: no kernel image is available for execution on the device"),
        std::string::npos)
        << e.what();
  }
  emulator::have_code(true);
  use_memory_of(nullptr);
}

// Wherever in the run that is, one error says so, and what was recorded is gone on with elsewhere.
TEST_P(TrainingOnCudaDevice, IsGoneOnWithWhenTheDeviceIsLost) {
  const testing_support::Scratch scratch("device-lost");
  const testing_support::SmallJob job(scratch.path());
  const auto options = [&](const std::string& name) {
    train::TrainOptions o = job.options(name);
    o.profile = *profile_from_name(GetParam());
    o.recipe.steps = 3;
    o.recipe.batch_size = 2;
    o.steps_per_block = 1;
    o.record->snapshot_interval = 1;
    return o;
  };
  train::train(options("processor"), nullptr);
  const std::vector<int> all = {40, 150, 250, 320};
  for (const int waits : unless_sanitized<int>(all, {280})) {
    const std::string name = cat("lost-", waits);
    {
      const std::unique_ptr<Device> device = cuda::open_device(0);
      use_memory_of(device.get());
      train::TrainOptions o = options(name);
      o.accelerator = device.get();
      emulator::fail_after(waits);
      try {
        train::train(o, nullptr);
        ADD_FAILURE() << "no error after " << waits;
      } catch (const Error& e) {
        EXPECT_EQ(e.fault(), Fault::kDevice);
        EXPECT_NE(std::string(e.what()).find("cuda: run: unspecified launch failure"), std::string::npos)
            << e.what();
      }
      emulator::fail_after(-1);
      use_memory_of(nullptr);
    }
    train::TrainOptions again = options(name);
    again.record->resume = true;
    train::train(again, nullptr);
    EXPECT_EQ(job.log(name), job.log("processor")) << waits;
  }
}
#endif

TEST_P(TrainingOnCudaDevice, OnImagesLeavesTheSameLog) {
  for (const char* kind : kSanitized ? std::vector<const char*>{"dinov2"}
                                     : std::vector<const char*>{"vit", "dinov2", "dinov2-swiglu"}) {
    const testing_support::Scratch scratch("device-images");
    const testing_support::SmallImageJob job(scratch.path(), kind);
    const auto run = [&](const std::string& name, Accelerator* accelerator) {
      train::TrainOptions options = job.options(name);
      options.profile = *profile_from_name(GetParam());
      options.recipe.steps = kSanitized ? 1 : 2;
      options.accelerator = accelerator;
      train::train(options, nullptr);
      return job.log(name);
    };
    const std::string expected = run("processor", nullptr);
    const std::unique_ptr<Device> device = cuda::open_device(0);
    use_memory_of(device.get());
    EXPECT_EQ(run("device", device.get()), expected) << kind;
    use_memory_of(nullptr);
  }
}

// The products of i14:1024 are cuBLAS's, where there is one.
INSTANTIATE_TEST_SUITE_P(Profiles, TrainingOnCudaDevice, ::testing::Values("f32", "i14", "i14:1024"),
                         [](const auto& profile) {
                           std::string name = profile.param;
                           std::erase(name, ':');
                           return name;
                         });

}  // namespace
}  // namespace aftune::kernels
