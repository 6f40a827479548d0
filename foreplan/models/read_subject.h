// What a model's file says that its model is of, for those who know nothing else of it.
#pragma once

#include "foreplan/data/safetensors.h"
#include "foreplan/models/model_subject.h"

namespace foreplan {

/// What WriteSubject wrote, without the task. Throws InputError naming the file where it says
/// nothing of the kind, or has inputs that name constants or quantities of its task.
[[nodiscard]] ModelSubject ReadSubject(const TensorFile& file);
/// The same without the encoding's inputs, which nothing but models sees: they may name what they
/// want.
[[nodiscard]] ModelSubject ReadSubjectOfPolicy(const TensorFile& file);

}  // namespace foreplan
