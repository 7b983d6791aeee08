/// @file
/// The dispatcher of a consumer or reader: the actor that gives each processor what it asked for.
#pragma once

#include "actors/receiver/receiver.hpp"

namespace stargate::internal {

[[nodiscard]] caf::actor spawn_dispatcher(tree_context_ptr tree, receiver_ptr receiver, caf::actor supervisor);

} // namespace stargate::internal
