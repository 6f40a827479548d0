// Computations in the form that runtimes of ONNX read: a graph of operations on tensors.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace foreplan {

/// Types of elements, by their numbers in the format.
enum class OnnxType : uint8_t { kFloat = 1, kInt64 = 7, kBool = 9, kDouble = 11 };

/// A size, or the name of one that the caller chooses.
using OnnxSize = std::variant<int64_t, std::string>;

/// An argument of an operation that is no tensor.
struct OnnxAttribute {
  std::string name;
  std::variant<int64_t, std::vector<int64_t>> value;
};

/// A graph in the making. Everything that has a value, an input, a constant or the result of an
/// operation, is known by a name, which whoever makes it gets and hands on. Knows nothing of what
/// is computed; equal calls give equal bytes.
///
/// Operations are those of version 17 of ONNX's own operator set, the file's own version is 8, as
/// any runtime since 2022 reads them.
class OnnxGraph {
 public:
  static constexpr int kOperatorSet = 17;
  static constexpr int kIrVersion = 8;

  explicit OnnxGraph(std::string name) : name_(std::move(name)) {}

  std::string Input(const std::string& name, OnnxType type, const std::vector<OnnxSize>& shape,
                    const std::string& description);
  /// The graph gives this value by that name.
  void Output(const std::string& value, const std::string& name, OnnxType type,
              const std::vector<OnnxSize>& shape, const std::string& description);

  /// Row-major; `hint` begins its name. Empty shape: one number.
  std::string Constant(const std::string& hint, const std::vector<int64_t>& shape,
                       const std::vector<float>& values);
  std::string Constant(const std::string& hint, const std::vector<int64_t>& shape,
                       const std::vector<double>& values);
  std::string Constant(const std::string& hint, const std::vector<int64_t>& shape,
                       const std::vector<int64_t>& values);

  /// The result of an operation with one.
  std::string Apply(const std::string& operation, const std::vector<std::string>& inputs,
                    const std::vector<OnnxAttribute>& attributes = {});
  std::string Cast(const std::string& value, OnnxType type);
  /// Columns of a matrix [n, columns], in that order.
  std::string Columns(const std::string& matrix, const std::vector<int64_t>& columns);

  /// The file. `metadata`: texts for who reads it. Throws InputError for more than protocol buffers
  /// hold (2 GB).
  [[nodiscard]] std::string Model(const std::map<std::string, std::string>& metadata) const;

 private:
  std::string Fresh(const std::string& hint);
  template <typename Number>
  std::string AddConstant(const std::string& hint, OnnxType type, const std::vector<int64_t>& shape,
                          const std::vector<Number>& values);

  std::string name_;
  int names_ = 0;
  std::vector<std::string> nodes_, constants_, inputs_, outputs_;  // messages
};

}  // namespace foreplan
