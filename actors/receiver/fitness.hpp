/// @file
/// Whether the broker can do what a consumer or reader needs of it. What it cannot, an old one does not refuse: it does
/// something else, silently.
#pragma once

#include "actors/receiver/receiver.hpp"

#include <stargate/caf.hpp>

namespace stargate::internal {

/// Whether there is anything to ask. @par Threads any thread
[[nodiscard]] bool needs_check(const receiver& r);

/// Asks the broker, on a thread of its own, and sends `answer_to` one `fitness_checked`. What nobody lets us ask is
/// taken for granted.
void check_fitness(const tree_context_ptr& tree, const receiver_ptr& r, const caf::actor& answer_to);

} // namespace stargate::internal
