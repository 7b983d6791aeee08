/// @file
/// A processor of a consumer or reader: the actor that runs the application's handler.
#pragma once

#include "actors/receiver/receiver.hpp"

namespace stargate::internal {

[[nodiscard]] caf::actor spawn_processor(tree_context_ptr tree, receiver_ptr receiver, std::size_t index,
                                         caf::actor supervisor);

} // namespace stargate::internal
