/// @file
/// The dispatcher of a consumer or reader: the actor that gives each processor what it asked for.
#pragma once

#include "actors/pipeline.hpp"

namespace stargate::internal {

[[nodiscard]] caf::actor spawn_dispatcher(site_ptr tree, pipeline_ptr pipeline, caf::actor supervisor);

} // namespace stargate::internal
