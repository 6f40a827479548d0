#include "foreplan/data/onnx_graph.h"

#include <fmt/format.h>

#include <bit>
#include <limits>
#include <string_view>

#include "foreplan/core/error.h"
#include "foreplan/data/protobuf.h"

namespace foreplan {
namespace {

// Numbers of fields in onnx.proto, message by message.
struct ModelProto {
  enum { kIrVersion = 1, kProducer = 2, kGraph = 7, kOperatorSet = 8, kMetadata = 14 };
};
struct GraphProto {
  enum { kNode = 1, kName = 2, kConstant = 5, kInput = 11, kOutput = 12 };
};
struct NodeProto {
  enum { kInput = 1, kOutput = 2, kName = 3, kOperation = 4, kAttribute = 5 };
};
struct AttributeProto {
  enum { kName = 1, kInteger = 3, kIntegers = 8, kType = 20 };
  enum { kTypeInteger = 2, kTypeIntegers = 7 };
};
struct TensorProto {
  enum { kSize = 1, kType = 2, kName = 8, kBytes = 9 };
};
struct ValueInfoProto {
  enum { kName = 1, kType = 2, kDescription = 3 };
};

ProtobufMessage ShapeMessage(const std::vector<OnnxSize>& shape) {
  ProtobufMessage message;
  for (const OnnxSize& size : shape) {
    ProtobufMessage dimension;
    if (const auto* number = std::get_if<int64_t>(&size)) dimension.Varint(1, *number);
    if (const auto* name = std::get_if<std::string>(&size)) dimension.Bytes(2, *name);
    message.Message(1, dimension);
  }
  return message;
}

std::string ValueInfo(const std::string& name, OnnxType type, const std::vector<OnnxSize>& shape,
                      const std::string& description) {
  ProtobufMessage tensor;
  tensor.Varint(1, static_cast<int64_t>(type)).Message(2, ShapeMessage(shape));
  ProtobufMessage kind;
  kind.Message(1, tensor);
  ProtobufMessage info;
  info.Bytes(ValueInfoProto::kName, name)
      .Message(ValueInfoProto::kType, kind)
      .Bytes(ValueInfoProto::kDescription, description);
  return info.bytes();
}

ProtobufMessage AttributeMessage(const OnnxAttribute& attribute) {
  ProtobufMessage message;
  message.Bytes(AttributeProto::kName, attribute.name);
  if (const auto* number = std::get_if<int64_t>(&attribute.value)) {
    message.Varint(AttributeProto::kInteger, *number);
    message.Varint(AttributeProto::kType, AttributeProto::kTypeInteger);
  } else {
    for (const int64_t one : std::get<std::vector<int64_t>>(attribute.value)) {
      message.Varint(AttributeProto::kIntegers, one);
    }
    message.Varint(AttributeProto::kType, AttributeProto::kTypeIntegers);
  }
  return message;
}

std::string NodeMessage(const std::string& operation, const std::vector<std::string>& inputs,
                        const std::string& output, const std::vector<OnnxAttribute>& attributes) {
  ProtobufMessage node;
  for (const std::string& input : inputs) node.Bytes(NodeProto::kInput, input);
  node.Bytes(NodeProto::kOutput, output).Bytes(NodeProto::kName, output);
  node.Bytes(NodeProto::kOperation, operation);
  for (const OnnxAttribute& attribute : attributes) {
    node.Message(NodeProto::kAttribute, AttributeMessage(attribute));
  }
  return node.bytes();
}

void AppendAll(int field, const std::vector<std::string>& messages, ProtobufMessage& to) {
  for (const std::string& message : messages) to.Bytes(field, message);
}

}  // namespace

std::string OnnxGraph::Fresh(const std::string& hint) {
  return fmt::format("{}_{}", hint, names_++);
}

std::string OnnxGraph::Input(const std::string& name, OnnxType type,
                             const std::vector<OnnxSize>& shape, const std::string& description) {
  inputs_.push_back(ValueInfo(name, type, shape, description));
  return name;
}

void OnnxGraph::Output(const std::string& value, const std::string& name, OnnxType type,
                       const std::vector<OnnxSize>& shape, const std::string& description) {
  nodes_.push_back(NodeMessage("Identity", {value}, name, {}));
  outputs_.push_back(ValueInfo(name, type, shape, description));
}

template <typename Number>
std::string OnnxGraph::AddConstant(const std::string& hint, OnnxType type,
                                   const std::vector<int64_t>& shape,
                                   const std::vector<Number>& values) {
  static_assert(std::endian::native == std::endian::little, "numbers are copied byte by byte");
  std::string name = Fresh(hint);
  ProtobufMessage tensor;
  for (const int64_t size : shape) tensor.Varint(TensorProto::kSize, size);
  tensor.Varint(TensorProto::kType, static_cast<int64_t>(type)).Bytes(TensorProto::kName, name);
  tensor.Bytes(TensorProto::kBytes, std::string_view(reinterpret_cast<const char*>(values.data()),
                                                     values.size() * sizeof(Number)));
  constants_.push_back(tensor.bytes());
  return name;
}

std::string OnnxGraph::Constant(const std::string& hint, const std::vector<int64_t>& shape,
                                const std::vector<float>& values) {
  return AddConstant(hint, OnnxType::kFloat, shape, values);
}

std::string OnnxGraph::Constant(const std::string& hint, const std::vector<int64_t>& shape,
                                const std::vector<double>& values) {
  return AddConstant(hint, OnnxType::kDouble, shape, values);
}

std::string OnnxGraph::Constant(const std::string& hint, const std::vector<int64_t>& shape,
                                const std::vector<int64_t>& values) {
  return AddConstant(hint, OnnxType::kInt64, shape, values);
}

std::string OnnxGraph::Apply(const std::string& operation, const std::vector<std::string>& inputs,
                             const std::vector<OnnxAttribute>& attributes) {
  std::string result = Fresh(operation);
  nodes_.push_back(NodeMessage(operation, inputs, result, attributes));
  return result;
}

std::string OnnxGraph::Cast(const std::string& value, OnnxType type) {
  return Apply("Cast", {value}, {{"to", static_cast<int64_t>(type)}});
}

std::string OnnxGraph::Columns(const std::string& matrix, const std::vector<int64_t>& columns) {
  const std::string index = Constant("columns", {std::ssize(columns)}, columns);
  return Apply("Gather", {matrix, index}, {{"axis", int64_t{1}}});
}

std::string OnnxGraph::Model(const std::map<std::string, std::string>& metadata) const {
  ProtobufMessage graph;
  AppendAll(GraphProto::kNode, nodes_, graph);
  graph.Bytes(GraphProto::kName, name_);
  AppendAll(GraphProto::kConstant, constants_, graph);
  AppendAll(GraphProto::kInput, inputs_, graph);
  AppendAll(GraphProto::kOutput, outputs_, graph);
  ProtobufMessage operators;  // of the domain "", ONNX's own
  operators.Bytes(1, "").Varint(2, kOperatorSet);
  ProtobufMessage model;
  model.Varint(ModelProto::kIrVersion, kIrVersion)
      .Bytes(ModelProto::kProducer, "foreplan")
      .Message(ModelProto::kGraph, graph)
      .Message(ModelProto::kOperatorSet, operators);
  for (const auto& [key, text] : metadata) {
    ProtobufMessage entry;
    entry.Bytes(1, key).Bytes(2, text);
    model.Message(ModelProto::kMetadata, entry);
  }
  if (model.bytes().size() > std::numeric_limits<int32_t>::max()) {
    throw InputError(fmt::format("{}: found a graph of {} bytes, expected at most 2 GB for ONNX",
                                 name_, model.bytes().size()));
  }
  return model.bytes();
}

}  // namespace foreplan
