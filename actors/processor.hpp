/// @file
/// A processor of a consumer or reader: the actor that runs the application's handler.
#pragma once

#include "actors/pipeline.hpp"

namespace stargate::internal {

[[nodiscard]] caf::actor spawn_processor(site_ptr tree, pipeline_ptr pipeline, std::size_t index,
                                         caf::actor supervisor);

} // namespace stargate::internal
