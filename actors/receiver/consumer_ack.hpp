/// @file
/// The acknowledger of a consumer or reader: the actor that tells the broker what is done.
#pragma once

#include "actors/receiver/receiver.hpp"

namespace stargate::internal {

[[nodiscard]] caf::actor spawn_consumer_ack(tree_context_ptr tree, receiver_ptr receiver, caf::actor supervisor);

} // namespace stargate::internal
