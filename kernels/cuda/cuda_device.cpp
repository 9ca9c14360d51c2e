#include "kernels/cuda/cuda_device.h"

#include <cuda_runtime.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "base/error.h"
#include "kernels/cuda/attention.h"
#include "kernels/cuda/blake3.h"
#include "kernels/cuda/cublas.h"
#include "kernels/cuda/device_memory.h"
#include "kernels/cuda/embedding_order.h"
#include "kernels/cuda/i14.h"
#include "kernels/cuda/i14_by_cublas.h"
#include "kernels/cuda/images.h"
#include "kernels/cuda/native.h"
#include "kernels/cuda/products.h"
#include "kernels/cuda/rows.h"

namespace aftune::kernels::cuda {
namespace {

constexpr std::int64_t kPartial = 1024;  // elements that one partial of sum_squares stands for
constexpr std::int64_t kMostDocuments = 65535;
// From here on, three products of bytes and what they write cost less than one kernel that does it all.
constexpr int kLeastCublasGroup = 1024;
constexpr std::int64_t kMostFusedRows = 8;  // of a product that has a kernel of its own

std::int64_t longest_of(std::int64_t documents, const std::int64_t* doc_starts) {
  std::int64_t longest = 0;
  for (std::int64_t i = 0; i < documents; ++i) longest = std::max(longest, doc_starts[i + 1] - doc_starts[i]);
  return longest;
}

void require_shape(const AttentionShape& shape, std::int64_t documents) {
  if (shape.head_dim > kMostHeadDim)
    fail(Fault::kDevice, "cuda: attention: head_dim is ", shape.head_dim, "; it may be ", kMostHeadDim);
  if (documents > kMostDocuments)
    fail(Fault::kDevice, "cuda: attention: ", documents, " documents at once; there may be ", kMostDocuments,
         ": use a smaller micro-batch");
}

class CudaDevice : public Device {
 public:
  CudaDevice(int index, std::shared_ptr<TakenBlocks> blocks);
  ~CudaDevice() override;

  std::string name() const override { return name_; }
  void* take(std::size_t bytes) override;
  void give(void* block) noexcept override;
  bool holds(const void* at) const override;
  void queue_calls(bool on) override;
  void wait() override;
  std::unique_ptr<Point> point() override;
  std::unique_ptr<Accelerator> beside() override { return std::make_unique<CudaDevice>(index_, blocks_); }
  void after(const Point& point) override;
  void copy(std::byte* to, const std::byte* from, std::size_t bytes) override {
    run([&] { check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDefault, stream_), "copy"); });
  }
  void clear(std::byte* at, std::size_t bytes) override {
    run([&] { check(cudaMemsetAsync(at, 0, bytes, stream_), "clear"); });
  }
  void blake3_values(ByteView bytes, std::uint64_t counter, std::byte* cvs) override;

  void linear(std::int64_t n, std::int64_t in, std::int64_t out, const float* x, const float* w, float* y,
              Into into) override {
    run([&] { cuda::linear(stream_, n, in, out, x, w, y, into == Into::kAdd); });
  }
  void linear_grad_input(std::int64_t n, std::int64_t in, std::int64_t out, const float* dy, const float* w,
                         float* dx, Into into) override {
    run([&] { cuda::linear_grad_input(stream_, n, in, out, dy, w, dx, into == Into::kAdd); });
  }
  void linear_grad_weight(std::int64_t rows, const std::int64_t* row_starts, std::int64_t in,
                          std::int64_t out, const float* dy, const float* x, float* dw) override {
    run([&] { cuda::linear_grad_weight(stream_, rows, upload(row_starts, rows + 1), in, out, dy, x, dw); });
  }

  void quantise_rows(std::unique_ptr<DeviceFactor>& factor, std::int64_t n, std::int64_t depth,
                     const float* x, int group) override {
    run([&] {
      const std::int64_t chain[] = {0, depth};
      Factor& to = made(factor);
      to.plan(queue_, n, 1, chain, group);
      quantise_i14_rows(stream_, to.depth(), depth, x, to.planes());
    });
  }
  void quantise_columns(std::unique_ptr<DeviceFactor>& factor, std::int64_t n, std::int64_t chains,
                        const std::int64_t* chain_starts, const float* x, int group) override {
    run([&] {
      Factor& to = made(factor);
      to.plan(queue_, n, chains, chain_starts, group);
      quantise_i14_columns(stream_, to.depth(), x, to.planes());
    });
  }
  void multiply_i14(const DeviceFactor& left, const DeviceFactor& right, float* c, Into into) override {
    run([&] {
      const auto& l = static_cast<const Factor&>(left);
      const I14Planes &rows = l.planes(), &cols = static_cast<const Factor&>(right).planes();
      if (l.plan().group < kLeastCublasGroup || rows.extent <= kMostFusedRows || !Cublas::is_there())
        return cuda::multiply_i14(stream_, l.depth(), rows, cols, c, into == Into::kAdd);
      auto* const workspace = scratch<std::byte>(
          static_cast<std::int64_t>(i14_workspace_bytes(l.plan().group, rows.extent, cols.extent)));
      multiply_i14_by_cublas(stream_, cublas(), l.plan(), rows, cols, c, into == Into::kAdd, workspace);
    });
  }

  NativeMachine native_machine() override;
  void linear_native(std::int64_t n, std::int64_t in, std::int64_t out, const float* x, const float* w,
                     float* y, Into into) override {
    run([&] { multiply({n, out, in, {x, in, false}, {w, in, false}, y, into == Into::kAdd}); });
  }
  void linear_grad_input_native(std::int64_t n, std::int64_t in, std::int64_t out, const float* dy,
                                const float* w, float* dx, Into into) override {
    run([&] { multiply({n, in, out, {dy, out, false}, {w, in, true}, dx, into == Into::kAdd}); });
  }
  void linear_grad_weight_native(std::int64_t rows, const std::int64_t* row_starts, std::int64_t in,
                                 std::int64_t out, const float* dy, const float* x, float* dw) override {
    for (std::int64_t r = 0; r < rows; ++r) {
      const std::int64_t start = row_starts[r], length = row_starts[r + 1] - start;
      run([&] {
        multiply({out, in, length, {dy + start * out, out, true}, {x + start * in, in, true}, dw, true});
      });
    }
  }

  void rmsnorm(std::int64_t n, std::int64_t h, float eps, const float* x, const float* w, float* y,
               float* inv_rms) override {
    run([&] { cuda::rmsnorm(stream_, n, h, eps, x, w, y, inv_rms); });
  }
  void rmsnorm_grad_input(std::int64_t n, std::int64_t h, const float* x, const float* w,
                          const float* inv_rms, const float* dy, float* dx, Into into) override {
    run([&] { cuda::rmsnorm_grad_input(stream_, n, h, x, w, inv_rms, dy, dx, into == Into::kAdd); });
  }
  void rmsnorm_grad_weight(std::int64_t rows, const std::int64_t* row_starts, std::int64_t h, const float* x,
                           const float* inv_rms, const float* dy, float* dw) override {
    run([&] {
      cuda::rmsnorm_grad_weight(stream_, rows, upload(row_starts, rows + 1), h, x, inv_rms, dy, dw);
    });
  }
  void layernorm(std::int64_t n, std::int64_t h, float eps, const float* x, const float* w, const float* b,
                 float* y, float* mean, float* inv) override {
    run([&] { cuda::layernorm(stream_, n, h, eps, x, w, b, y, mean, inv); });
  }
  void layernorm_grad_input(std::int64_t n, std::int64_t h, const float* x, const float* w, const float* mean,
                            const float* inv, const float* dy, float* dx, Into into) override {
    run([&] { cuda::layernorm_grad_input(stream_, n, h, x, w, mean, inv, dy, dx, into == Into::kAdd); });
  }
  void layernorm_grad_weight(std::int64_t rows, const std::int64_t* row_starts, std::int64_t h,
                             const float* x, const float* mean, const float* inv, const float* dy,
                             float* dw) override {
    run([&] {
      cuda::layernorm_grad_weight(stream_, rows, upload(row_starts, rows + 1), h, x, mean, inv, dy, dw);
    });
  }
  void gelu(GeluForm form, std::int64_t n, const float* x, float* y) override {
    run([&] { cuda::gelu(stream_, form, n, x, y); });
  }
  void gelu_grad(GeluForm form, std::int64_t n, const float* x, const float* dy, float* dx) override {
    run([&] { cuda::gelu_grad(stream_, form, n, x, dy, dx); });
  }
  void swiglu(std::int64_t n, const float* gate, const float* up, float* y) override {
    run([&] { cuda::swiglu(stream_, n, gate, up, y); });
  }
  void swiglu_grad(std::int64_t n, const float* gate, const float* up, const float* dy, float* dgate,
                   float* dup) override {
    run([&] { cuda::swiglu_grad(stream_, n, gate, up, dy, dgate, dup); });
  }
  void add(std::int64_t n, const float* a, const float* b, float* y) override {
    run([&] { cuda::add(stream_, n, a, b, y); });
  }
  void add_bias(std::int64_t n, std::int64_t h, const float* b, float* x) override {
    run([&] { cuda::add_bias(stream_, n, h, b, x); });
  }
  void bias_grad(std::int64_t rows, const std::int64_t* row_starts, std::int64_t h, const float* dy,
                 float* db) override {
    run([&] { cuda::bias_grad(stream_, rows, upload(row_starts, rows + 1), h, dy, db); });
  }
  void scale(std::int64_t n, float s, const float* x, float* y) override {
    run([&] { cuda::scale(stream_, n, s, x, y); });
  }
  void add_scaled(std::int64_t n, float s, const float* x, float* y) override {
    run([&] { cuda::add_scaled(stream_, n, s, x, y); });
  }
  void dropout(const DropoutSite& site, std::int64_t rows, const std::int64_t* row_starts, std::int64_t h,
               const float* x, float* y) override {
    run([&] {
      for (std::int64_t r = 0; r < rows; ++r)
        cuda::dropout(stream_, site, site.row + static_cast<std::uint32_t>(r),
                      row_starts[r + 1] - row_starts[r], h, x + row_starts[r] * h, y + row_starts[r] * h);
    });
  }
  void round_bf16(std::int64_t n, const float* x, float* y) override {
    run([&] { cuda::round_bf16(stream_, n, x, y); });
  }
  void rope(std::int64_t n, std::int64_t heads, std::int64_t head_dim, const std::int32_t* positions,
            const float* cos, const float* sin, bool inverse, float* x) override {
    run([&] { cuda::rope(stream_, n, heads, head_dim, upload(positions, n), cos, sin, inverse, x); });
  }

  void attention(const AttentionShape& shape, std::int64_t documents, const std::int64_t* doc_starts,
                 const float* q, const float* k, const float* v, float* o, float* max, float* sum) override {
    require_shape(shape, documents);
    run([&] {
      cuda::attention(stream_, shape, documents, upload(doc_starts, documents + 1),
                      longest_of(documents, doc_starts), q, k, v, o, max, sum);
    });
  }
  void attention_continued(const AttentionShape& shape, std::span<const AttentionContinuation> documents,
                           const float* q, float* o, float* max, float* sum) override {
    require_shape(shape, std::ssize(documents));
    std::int64_t longest = 0;
    for (const AttentionContinuation& document : documents) longest = std::max(longest, document.count);
    run([&] {
      cuda::attention_continued(stream_, shape, std::ssize(documents),
                                upload(documents.data(), std::ssize(documents)), longest, q, o, max, sum);
    });
  }
  void attention_grad(const AttentionShape& shape, std::int64_t documents, const std::int64_t* doc_starts,
                      const float* q, const float* k, const float* v, const float* o, const float* max,
                      const float* sum, const float* d_o, float* dq, float* dk, float* dv) override {
    require_shape(shape, documents);
    run([&] {
      cuda::attention_grad(stream_, shape, documents, upload(doc_starts, documents + 1),
                           longest_of(documents, doc_starts), q, k, v, o, max, sum, d_o,
                           scratch<float>(doc_starts[documents] * shape.heads), dq, dk, dv);
    });
  }

  void gather_rows(std::int64_t n, std::int64_t h, const std::int64_t* rows, const float* from,
                   float* to) override {
    run([&] { cuda::gather_rows(stream_, n, h, upload(rows, n), from, to); });
  }
  void scatter_rows(std::int64_t n, std::int64_t h, const std::int64_t* rows, const float* from,
                    float* to) override {
    run([&] { cuda::scatter_rows(stream_, n, h, upload(rows, n), from, to); });
  }
  void embedding(std::int64_t n, std::int64_t h, const std::int32_t* ids, const float* table,
                 float* y) override {
    run([&] { cuda::embedding(stream_, n, h, upload(ids, n), table, y); });
  }
  void embedding_grad(std::int64_t rows, const std::int64_t* row_starts, std::int64_t h,
                      const std::int32_t* ids, const float* dy, float* dtable) override {
    const EmbeddingOrder order = embedding_order(rows, row_starts, ids);
    run([&] {
      cuda::embedding_grad(stream_, order.entries(), upload(order.entry_starts), upload(order.entry_ids),
                           upload(order.group_starts), upload(order.order), h, dy, dtable);
    });
  }
  void cross_entropy(std::int64_t n, std::int64_t vocab, float* logits, const std::int32_t* labels,
                     float inv_predicted, bool grad, float* loss) override {
    run([&] {
      cuda::cross_entropy(stream_, n, vocab, logits, upload(labels, n), inv_predicted, grad, loss);
    });
  }

  void patches(const ImageShape& shape, std::int64_t images, const float* x, float* y) override {
    run([&] { cuda::patches(stream_, shape, images, x, y); });
  }
  void layer_scale(std::int64_t n, std::int64_t h, const float* x, const float* w, float* y) override {
    run([&] { cuda::layer_scale(stream_, n, h, x, w, y); });
  }
  void layer_scale_grad_weight(std::int64_t rows, const std::int64_t* row_starts, std::int64_t h,
                               const float* x, const float* dy, float* dw) override {
    run([&] { cuda::layer_scale_grad_weight(stream_, rows, upload(row_starts, rows + 1), h, x, dy, dw); });
  }
  void class_mean(std::int64_t images, std::int64_t positions, std::int64_t h, const float* x,
                  float* y) override {
    run([&] { cuda::class_mean(stream_, images, positions, h, x, y); });
  }
  void class_mean_grad(std::int64_t images, std::int64_t positions, std::int64_t h, const float* dy,
                       float* dx) override {
    run([&] { cuda::class_mean_grad(stream_, images, positions, h, dy, dx); });
  }

  double sum_squares(std::int64_t n, const float* x) override;
  bool any_nonfinite(std::int64_t n, const float* x) override {
    return marks([&](std::uint32_t* bad) { cuda::any_nonfinite(stream_, n, x, bad); });
  }
  bool adamw(const AdamW& op, std::int64_t n, float* p, float* m, float* v, const float* g) override {
    return !marks([&](std::uint32_t* bad) { cuda::adamw(stream_, op, n, p, m, v, g, bad); });
  }
  bool sgd(const Sgd& op, std::int64_t n, float* p, float* momentum_buffer, const float* g) override {
    return !marks([&](std::uint32_t* bad) { cuda::sgd(stream_, op, n, p, momentum_buffer, g, bad); });
  }
  void init_normal(std::uint64_t seed, std::uint64_t name_hash, float std, std::int64_t n,
                   float* x) override {
    run([&] { cuda::init_normal(stream_, seed, name_hash, std, n, x); });
  }

 private:
  /// Queues what body does, and waits for it unless calls are queued.
  template <class Body>
  void run(const Body& body) {
    check(cudaSetDevice(index_), "device");
    used_ = 0;
    body();
    check(cudaGetLastError(), "launch");
    if (!queues_) queue_.wait();
  }
  /// The same, and the processor may read what it left.
  template <class Body>
  void run_to_end(const Body& body) {
    run(body);
    if (queues_) queue_.wait();
  }

  /// Whether body marks anything bad.
  template <class Body>
  bool marks(const Body& body) {
    std::uint32_t bad = 0;
    run_to_end([&] {
      auto* const flag = scratch<std::uint32_t>(1);
      check(cudaMemsetAsync(flag, 0, sizeof(bad), stream_), "clear");
      body(flag);
      check(cudaMemcpyAsync(&bad, flag, sizeof(bad), cudaMemcpyDeviceToHost, stream_), "copy");
    });
    return bad != 0;
  }

  /// Opened when it is first needed.
  Cublas& cublas() {
    if (!cublas_) cublas_ = std::make_unique<Cublas>(stream_);
    return *cublas_;
  }

  void multiply(const NativeProduct& product) {
    if (product.rows == 0 || product.cols == 0) return;
    auto* const workspace = scratch<std::byte>(static_cast<std::int64_t>(native_workspace_bytes(product)));
    multiply_native(stream_, cublas(), product, workspace);
  }

  /// Device memory until the run ends.
  template <class T>
  T* scratch(std::int64_t count) {
    const std::size_t bytes = std::max<std::size_t>(static_cast<std::size_t>(count) * sizeof(T), 1);
    if (used_ == rooms_.size()) rooms_.push_back(std::make_unique<Room>());
    return reinterpret_cast<T*>(rooms_[used_++]->at_least(queue_, bytes));
  }
  /// A copy of a list there.
  template <class T>
  const T* upload(const T* from, std::int64_t count) {
    T* const to = scratch<T>(count);
    queue_.upload(to, from, static_cast<std::size_t>(count) * sizeof(T));
    return to;
  }
  template <class T>
  const T* upload(const std::vector<T>& list) {
    return upload(list.data(), std::ssize(list));
  }

  const int index_;
  std::string model_, name_;
  DeviceQueue queue_;
  const Stream stream_ = queue_.stream();
  bool queues_ = false;
  std::unique_ptr<Cublas> cublas_;
  std::vector<std::unique_ptr<Room>> rooms_;
  std::size_t used_ = 0;
  std::shared_ptr<TakenBlocks> blocks_;
};

/// The same index, and that device is this thread's from now on.
int chosen(int index) {
  int count = 0;
  check(cudaGetDeviceCount(&count), "no GPU can be used");
  if (index >= count)
    fail(Fault::kDevice, "cuda: there ", count == 1 ? "is 1 device" : cat("are ", count, " devices"));
  check(cudaSetDevice(index), "device");
  return index;
}

CudaDevice::CudaDevice(int index, std::shared_ptr<TakenBlocks> blocks)
    : index_(chosen(index)), blocks_(std::move(blocks)) {
  cudaDeviceProp properties{};
  check(cudaGetDeviceProperties(&properties, index), "device");
  model_ = properties.name;
  name_ = cat(model_, " (cuda:", index, ")");
  int reaches = 0;
  check(cudaDeviceGetAttribute(&reaches, cudaDevAttrConcurrentManagedAccess, index), "device");
  if (reaches == 0)
    fail(Fault::kDevice, "cuda: ", properties.name, ": the processor cannot read its memory while it works");
}

NativeMachine CudaDevice::native_machine() {
  check(cudaSetDevice(index_), "device");
  int major = 0, minor = 0;
  check(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, index_), "device");
  check(cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, index_), "device");
  return {model_, cat(major, ".", minor), cublas().version()};
}

CudaDevice::~CudaDevice() {
  cudaStreamSynchronize(stream_);
}

void CudaDevice::queue_calls(bool on) {
  queues_ = on;
  if (!on) wait();
}

std::unique_ptr<Accelerator::Point> CudaDevice::point() {
  check(cudaSetDevice(index_), "device");
  return std::make_unique<QueuePoint>(stream_);
}

void CudaDevice::after(const Point& point) {
  check(cudaSetDevice(index_), "device");
  check(cudaStreamWaitEvent(stream_, static_cast<const QueuePoint&>(point).event(), 0), "event");
}

void CudaDevice::wait() {
  check(cudaSetDevice(index_), "device");
  queue_.wait();
}

void* CudaDevice::take(std::size_t bytes) {
  void* block = nullptr;
  const cudaError_t error = cudaMallocManaged(&block, bytes);
  if (error == cudaErrorMemoryAllocation) {
    cudaGetLastError();  // it is answered here
    return nullptr;
  }
  check(error, "memory");
  blocks_->add(block, bytes);
  return block;
}

void CudaDevice::give(void* block) noexcept {
  blocks_->remove(block);
  cudaStreamSynchronize(stream_);  // what is queued may still use it
  cudaFree(block);
  cudaGetLastError();  // whoever waits next is told of a device that is lost, and not whoever launches
}

bool CudaDevice::holds(const void* at) const {
  return blocks_->hold(at);
}

void CudaDevice::blake3_values(ByteView bytes, std::uint64_t counter, std::byte* cvs) {
  const auto pieces = static_cast<std::int64_t>(bytes.size() / kHashPiece);
  run_to_end([&] {
    auto* const values = scratch<std::byte>(pieces * static_cast<std::int64_t>(kBlake3ValueBytes));
    cuda::blake3_values(stream_, bytes.data(), pieces, counter, values);
    check(cudaMemcpyAsync(cvs, values, static_cast<std::size_t>(pieces) * kBlake3ValueBytes,
                          cudaMemcpyDeviceToHost, stream_),
          "copy");
  });
}

double CudaDevice::sum_squares(std::int64_t n, const float* x) {
  std::vector<float> partials(static_cast<std::size_t>((n + kPartial - 1) / kPartial));
  run_to_end([&] {
    auto* const there = scratch<float>(std::ssize(partials));
    cuda::sum_squares(stream_, n, x, there);
    if (!partials.empty())
      check(cudaMemcpyAsync(partials.data(), there, partials.size() * sizeof(float), cudaMemcpyDeviceToHost,
                            stream_),
            "copy");
  });
  double sum = 0.0;
  for (const float partial : partials) sum += double{partial};
  return sum;
}

}  // namespace

std::unique_ptr<Device> open_device(int index) {
  return std::make_unique<CudaDevice>(index, std::make_shared<TakenBlocks>());
}

}  // namespace aftune::kernels::cuda
