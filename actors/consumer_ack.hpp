/// @file
/// The acknowledger of a consumer or reader: the actor that tells the broker what is done.
#pragma once

#include "actors/pipeline.hpp"

namespace stargate::internal {

[[nodiscard]] caf::actor spawn_consumer_ack(site_ptr tree, pipeline_ptr pipeline, caf::actor supervisor);

} // namespace stargate::internal
