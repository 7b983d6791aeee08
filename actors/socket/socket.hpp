/// @file
/// The socket: the actor that keeps one WebSocket connection to the broker alive.
#pragma once

#include "actors/shared/roles.hpp"
#include "actors/shared/tree_context.hpp"

#include <memory>

namespace stargate::internal {

struct socket_config {
  std::shared_ptr<const role_keys> keys; ///< Never null.
  caf::actor supervisor;                 ///< Of the pipeline.
  bool owner_says_ready = false; ///< The owner has more to do before the socket counts as connected, and says so.
};

/// Starts the socket of a producer, consumer or reader. Its owner, to which it hands what it receives, is `starter`
/// for a receiver, and for a producer whoever is registered as its acknowledger.
[[nodiscard]] caf::actor spawn_socket(tree_context_ptr tree, socket_config config, caf::actor starter);

} // namespace stargate::internal
