#include "foreplan/nets/dense_kernel.h"

#include <Eigen/Core>

#include "foreplan/core/error.h"
#include "foreplan/nets/training_layer.h"

#ifdef FOREPLAN_HAVE_ONEDNN
#include <dnnl.h>
#include <omp.h>
#endif

namespace foreplan {
namespace {

using Matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using ConstView = Eigen::Map<const Matrix>;
using View = Eigen::Map<Matrix>;

class EigenKernel : public DenseKernel {
 public:
  [[nodiscard]] std::string name() const override { return "eigen"; }

  void Forward(int rows, int inputs, int outputs, const float* x, const float* w,
               float* y) const override {
    View(y, rows, outputs).noalias() = ConstView(x, rows, inputs) * ConstView(w, inputs, outputs);
  }
  void BackwardInput(int rows, int inputs, int outputs, const float* dy, const float* w,
                     float* dx) const override {
    View(dx, rows, inputs).noalias() =
        ConstView(dy, rows, outputs) * ConstView(w, inputs, outputs).transpose();
  }
  void BackwardWeight(int rows, int inputs, int outputs, const float* x, const float* dy,
                      float* dw) const override {
    View(dw, inputs, outputs).noalias() =
        ConstView(x, rows, inputs).transpose() * ConstView(dy, rows, outputs);
  }
};

#ifdef FOREPLAN_HAVE_ONEDNN
/// While it lives, the calling thread's OpenMP loops have one thread; after that as many as before,
/// so that a program around the library keeps its own.
class OneOpenMpThread {
 public:
  OneOpenMpThread() { omp_set_num_threads(1); }
  ~OneOpenMpThread() { omp_set_num_threads(before_); }
  OneOpenMpThread(const OneOpenMpThread&) = delete;
  OneOpenMpThread& operator=(const OneOpenMpThread&) = delete;

 private:
  int before_ = omp_get_max_threads();
};

// dnnl_sgemm allocates nothing, unlike the primitives' execute. Debian's oneDNN is the OpenMP
// build: calls have one OpenMP thread each, as our own pool provides the parallelism.
class OneDnnKernel : public DenseKernel {
 public:
  [[nodiscard]] std::string name() const override { return "onednn"; }

  void Forward(int rows, int inputs, int outputs, const float* x, const float* w,
               float* y) const override {
    Multiply('N', 'N', rows, outputs, inputs, x, inputs, w, outputs, y);
  }
  void BackwardInput(int rows, int inputs, int outputs, const float* dy, const float* w,
                     float* dx) const override {
    Multiply('N', 'T', rows, inputs, outputs, dy, outputs, w, outputs, dx);
  }
  void BackwardWeight(int rows, int inputs, int outputs, const float* x, const float* dy,
                      float* dw) const override {
    Multiply('T', 'N', inputs, outputs, rows, x, inputs, dy, outputs, dw);
  }

 private:
  // c: [m x n] = op(a): [m x k] times op(b): [k x n], all row-major with the given row strides.
  static void Multiply(char transpose_a, char transpose_b, int m, int n, int k, const float* a,
                       int stride_a, const float* b, int stride_b, float* c) {
    const OneOpenMpThread one_thread;
    const dnnl_status_t status =
        dnnl_sgemm(transpose_a, transpose_b, m, n, k, 1.0F, a, stride_a, b, stride_b, 0.0F, c, n);
    if (status != dnnl_success) throw RunError("oneDNN: sgemm failed");
  }
};
#endif

/// Products of a library, and own layers for training where these are faster.
template <typename Products>
class AutoKernel final : public Products {
 public:
  explicit AutoKernel(const TrainingLayerKernel* layers) : layers_(layers) {}
  [[nodiscard]] const TrainingLayerKernel* training_layers() const override { return layers_; }

 private:
  const TrainingLayerKernel* layers_;
};

}  // namespace

std::vector<std::string> DenseKernelNames() {
#ifdef FOREPLAN_HAVE_ONEDNN
  return {"auto", "onednn", "eigen"};
#else
  return {"auto", "eigen"};
#endif
}

const DenseKernel& GetDenseKernel(const std::string& name) {
  static const EigenKernel eigen;
#ifdef FOREPLAN_HAVE_ONEDNN
  static const OneDnnKernel onednn;
  static const AutoKernel<OneDnnKernel> best(TrainingLayerAvx512());  // those of AVX2 are slower
  if (name == "onednn") return onednn;
#else
  static const AutoKernel<EigenKernel> best(FastestTrainingLayers());
#endif
  if (name == "auto") return best;
  if (name == "eigen") return eigen;
  throw UnknownName("model.kernel", "dense kernel", name, DenseKernelNames());
}

}  // namespace foreplan
