// The bytes of a graph of ONNX computed as its definition says: what foreplan writes of it, no
// more.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <functional>
#include <map>
#include <numeric>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "foreplan/data/testing/protobuf_fields.h"

namespace foreplan {

/// Row-major; values in double, rounded to float where the type is that.
struct OnnxTensor {
  int type = 11;  // 1: float, 7: int64, 9: bool, 11: double
  std::vector<int64_t> shape;
  std::vector<double> values;

  [[nodiscard]] int64_t size() const {
    return std::accumulate(shape.begin(), shape.end(), int64_t{1}, std::multiplies<>());
  }
};

/// A file of ONNX, and what it gives for inputs by name.
class OnnxEvaluation {
 public:
  explicit OnnxEvaluation(const std::string& bytes) : model_(bytes), graph_(model_.Text(7)) {
    for (const std::string& text : graph_.Texts(5)) {
      const ProtobufFields tensor(text);
      constants_[tensor.Text(8)] = Constant(tensor);
    }
  }

  [[nodiscard]] const ProtobufFields& model() const { return model_; }
  [[nodiscard]] const ProtobufFields& graph() const { return graph_; }
  /// Names of inputs, field 11, or outputs, field 12.
  [[nodiscard]] std::vector<std::string> Names(int field) const {
    std::vector<std::string> names;
    for (const std::string& text : graph_.Texts(field))
      names.push_back(ProtobufFields(text).Text(1));
    return names;
  }

  [[nodiscard]] std::map<std::string, OnnxTensor> Run(
      std::map<std::string, OnnxTensor> values) const {
    values.insert(constants_.begin(), constants_.end());
    for (const std::string& text : graph_.Texts(1)) {
      const ProtobufFields node(text);
      std::vector<const OnnxTensor*> inputs;
      for (const std::string& name : node.Texts(1)) inputs.push_back(&values.at(name));
      OnnxTensor result = Apply(node, inputs);
      if (result.type == 1) {
        for (double& value : result.values) value = static_cast<float>(value);
      }
      if (result.size() != std::ssize(result.values)) throw std::runtime_error(node.Text(4));
      values[node.Text(2)] = std::move(result);
    }
    return values;
  }

 private:
  using Inputs = std::vector<const OnnxTensor*>;

  template <typename Number>
  static std::vector<double> Values(const std::string& bytes) {
    std::vector<Number> numbers(bytes.size() / sizeof(Number));
    if (!numbers.empty()) std::memcpy(numbers.data(), bytes.data(), bytes.size());
    return {numbers.begin(), numbers.end()};
  }

  static OnnxTensor Constant(const ProtobufFields& tensor) {
    OnnxTensor constant{static_cast<int>(tensor.Number(2)), tensor.Numbers(1), {}};
    const std::string bytes = tensor.Text(9);
    if (constant.type == 1) constant.values = Values<float>(bytes);
    if (constant.type == 7) constant.values = Values<int64_t>(bytes);
    if (constant.type == 11) constant.values = Values<double>(bytes);
    return constant;
  }

  static ProtobufFields Attribute(const ProtobufFields& node, const std::string& name) {
    for (const std::string& text : node.Texts(5)) {
      if (ProtobufFields(text).Text(1) == name) return ProtobufFields(text);
    }
    throw std::runtime_error("no attribute " + name);
  }

  static OnnxTensor Apply(const ProtobufFields& node, const Inputs& in) {
    const std::string operation = node.Text(4);
    if (operation == "Gather") {
      return Gather(*in[0], *in[1], Attribute(node, "axis").Number(3));
    }
    if (operation == "Concat") return Concat(in, Attribute(node, "axis").Number(3));
    if (operation == "MatMul") return MatMul(*in[0], *in[1]);
    if (operation == "ReduceMean") {
      return Attribute(node, "axes").Numbers(8).front() == 0 ? MeanOfFirst(*in[0])
                                                             : MeanOfLast(*in[0]);
    }
    if (operation == "Identity") return *in[0];
    if (operation == "Squeeze") {
      return {in[0]->type, {in[0]->shape.begin() + 1, in[0]->shape.end()}, in[0]->values};
    }
    if (operation == "Cast") {
      OnnxTensor result = *in[0];
      result.type = static_cast<int>(Attribute(node, "to").Number(3));
      return result;
    }
    if (operation == "Shape") {
      return {7, {std::ssize(in[0]->shape)}, {in[0]->shape.begin(), in[0]->shape.end()}};
    }
    if (operation == "Expand") {
      OnnxTensor wide{in[0]->type, {}, {}};
      for (const double size : in[1]->values) wide.shape.push_back(static_cast<int64_t>(size));
      wide.values.resize(static_cast<size_t>(wide.size()));
      return Each({in[0], &wide}, in[0]->type, [](const double* x) { return x[0]; });
    }
    return Elementwise(operation, in);
  }

  static OnnxTensor Elementwise(const std::string& operation, const Inputs& in) {
    using Function = double (*)(const double*);
    static const std::map<std::string, Function> kFunctions = {
        {"Sin", [](const double* x) { return std::sin(x[0]); }},
        {"Cos", [](const double* x) { return std::cos(x[0]); }},
        {"Atan", [](const double* x) { return std::atan(x[0]); }},
        {"Exp", [](const double* x) { return std::exp(x[0]); }},
        {"Log", [](const double* x) { return std::log(x[0]); }},
        {"Sqrt", [](const double* x) { return std::sqrt(x[0]); }},
        {"Tanh", [](const double* x) { return std::tanh(x[0]); }},
        {"Sigmoid", [](const double* x) { return 1 / (1 + std::exp(-x[0])); }},
        {"Relu", [](const double* x) { return std::max(x[0], 0.0); }},
        {"Elu", [](const double* x) { return x[0] > 0 ? x[0] : std::expm1(x[0]); }},
        {"Neg", [](const double* x) { return -x[0]; }},
        {"Abs", [](const double* x) { return std::abs(x[0]); }},
        {"Sign", [](const double* x) { return x[0] > 0   ? 1.0
                                              : x[0] < 0 ? -1.0
                                                         : 0.0; }},
        {"Add", [](const double* x) { return x[0] + x[1]; }},
        {"Sub", [](const double* x) { return x[0] - x[1]; }},
        {"Mul", [](const double* x) { return x[0] * x[1]; }},
        {"Div", [](const double* x) { return x[0] / x[1]; }},
        {"Pow", [](const double* x) { return std::pow(x[0], x[1]); }},
        {"Min", [](const double* x) { return std::min(x[0], x[1]); }},
        {"Max", [](const double* x) { return std::max(x[0], x[1]); }},
        {"Where", [](const double* x) { return x[0] != 0 ? x[1] : x[2]; }}};
    static const std::map<std::string, Function> kConditions = {
        {"Less", [](const double* x) { return x[0] < x[1] ? 1.0 : 0.0; }},
        {"LessOrEqual", [](const double* x) { return x[0] <= x[1] ? 1.0 : 0.0; }},
        {"Equal", [](const double* x) { return x[0] == x[1] ? 1.0 : 0.0; }},
        {"And", [](const double* x) { return x[0] * x[1]; }},
        {"Or", [](const double* x) { return std::max(x[0], x[1]); }},
        {"Not", [](const double* x) { return 1 - x[0]; }},
        {"IsNaN", [](const double* x) { return std::isnan(x[0]) ? 1.0 : 0.0; }},
        {"IsInf", [](const double* x) { return std::isinf(x[0]) ? 1.0 : 0.0; }}};
    if (const auto found = kConditions.find(operation); found != kConditions.end()) {
      return Each(in, 9, found->second);
    }
    const auto found = kFunctions.find(operation);
    if (found == kFunctions.end()) throw std::runtime_error("no operation " + operation);
    return Each(in, in.back()->type, found->second);
  }

  /// Element by element; shapes are aligned at their ends, sizes of 1 are repeated.
  template <typename Function>
  static OnnxTensor Each(const Inputs& in, int type, const Function& function) {
    OnnxTensor result{type, {}, {}};
    for (const OnnxTensor* input : in) {
      std::vector<int64_t> shape = input->shape;
      shape.insert(shape.begin(),
                   std::max<size_t>(result.shape.size(), shape.size()) - shape.size(), 1);
      result.shape.insert(result.shape.begin(), shape.size() - result.shape.size(), 1);
      for (size_t i = 0; i < shape.size(); ++i) {
        if (shape[i] != 1 && result.shape[i] != 1 && shape[i] != result.shape[i]) {
          throw std::runtime_error("shapes that do not fit");
        }
        result.shape[i] = std::max(result.shape[i], shape[i]);
      }
    }
    for (int64_t at = 0; at < result.size(); ++at) {
      std::vector<double> arguments;
      for (const OnnxTensor* input : in) {
        arguments.push_back(input->values[static_cast<size_t>(Place(result.shape, at, *input))]);
      }
      result.values.push_back(function(arguments.data()));
    }
    return result;
  }

  /// Where an input has the element that belongs to number `at` of the result.
  static int64_t Place(const std::vector<int64_t>& shape, int64_t at, const OnnxTensor& input) {
    int64_t place = 0;
    int64_t step = 1;
    for (size_t back = 1; back <= input.shape.size(); ++back) {
      const int64_t size = input.shape[input.shape.size() - back];
      const int64_t whole = shape[shape.size() - back];
      if (size != 1) place += step * (at % whole);
      step *= size;
      at /= whole;
    }
    return place;
  }

  /// Of the last axis; others are refused.
  static OnnxTensor Gather(const OnnxTensor& from, const OnnxTensor& index, uint64_t axis) {
    if (axis + 1 != from.shape.size()) throw std::runtime_error("Gather of another axis");
    OnnxTensor result{from.type, from.shape, {}};
    const int64_t width = from.shape.back();
    result.shape.back() = index.size();
    for (int64_t row = 0; row < from.size() / width; ++row) {
      for (const double column : index.values) {
        if (column < 0 || column >= static_cast<double>(width)) throw std::runtime_error("column");
        result.values.push_back(from.values[static_cast<size_t>(row * width + int64_t(column))]);
      }
    }
    return result;
  }

  static OnnxTensor Concat(const Inputs& in, uint64_t axis) {
    if (axis + 1 != in[0]->shape.size()) throw std::runtime_error("Concat of another axis");
    OnnxTensor result{in[0]->type, in[0]->shape, {}};
    result.shape.back() = 0;
    for (const OnnxTensor* input : in) {
      if (input->type != result.type) throw std::runtime_error("Concat of types");
      result.shape.back() += input->shape.back();
    }
    for (int64_t row = 0; row < in[0]->size() / in[0]->shape.back(); ++row) {
      for (const OnnxTensor* input : in) {
        const int64_t width = input->shape.back();
        const auto begin = input->values.begin() + row * width;
        result.values.insert(result.values.end(), begin, begin + width);
      }
    }
    return result;
  }

  /// [n, k] or [b, n, k] by [b, k, m].
  static OnnxTensor MatMul(const OnnxTensor& a, const OnnxTensor& b) {
    if (a.type != b.type) throw std::runtime_error("MatMul of types");
    const int64_t batch = b.shape[0];
    const int64_t rows = a.shape[a.shape.size() - 2];
    const int64_t inner = a.shape.back();
    const int64_t columns = b.shape[2];
    OnnxTensor result{a.type, {batch, rows, columns}, {}};
    for (int64_t k = 0; k < batch; ++k) {
      const double* x = a.values.data() + (a.shape.size() == 3 ? k * rows * inner : 0);
      const double* y = b.values.data() + k * inner * columns;
      for (int64_t i = 0; i < rows; ++i) {
        for (int64_t j = 0; j < columns; ++j) {
          double sum = 0;
          for (int64_t l = 0; l < inner; ++l) sum += x[i * inner + l] * y[l * columns + j];
          result.values.push_back(sum);
        }
      }
    }
    return result;
  }

  static OnnxTensor MeanOfFirst(const OnnxTensor& from) {
    OnnxTensor result{from.type, {from.shape.begin() + 1, from.shape.end()}, {}};
    result.values.resize(static_cast<size_t>(result.size()));
    for (size_t i = 0; i < from.values.size(); ++i) {
      result.values[i % result.values.size()] +=
          from.values[i] / static_cast<double>(from.shape[0]);
    }
    return result;
  }

  static OnnxTensor MeanOfLast(const OnnxTensor& from) {
    const int64_t width = from.shape.back();
    OnnxTensor result{from.type, from.shape, {}};
    result.shape.back() = 1;
    result.values.resize(static_cast<size_t>(result.size()));
    for (size_t i = 0; i < from.values.size(); ++i) {
      result.values[i / static_cast<size_t>(width)] += from.values[i] / static_cast<double>(width);
    }
    return result;
  }

  ProtobufFields model_;
  ProtobufFields graph_;
  std::map<std::string, OnnxTensor> constants_;
};

}  // namespace foreplan
