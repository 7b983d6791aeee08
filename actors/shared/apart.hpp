/// @file
/// What blocks, such as a question to the broker's administration: on a thread of its own where there are threads.
#pragma once

#include "actors/shared/tree_context.hpp"

#include <caf/spawn_options.hpp>

#include <utility>

namespace stargate::internal {

/// Has `what` run, once, apart from whoever calls. What comes of it has to be sent as a message.
/// @par Threads any thread
template <class What>
void run_apart(const tree_context_ptr& tree, What what) {
  const auto body = [what = std::move(what)](caf::event_based_actor*) { what(); };
  if (tree->world->has_threads())
    tree->counted(tree->system.spawn<caf::detached>(body));
  else
    tree->counted(tree->system.spawn(body));
}

} // namespace stargate::internal
