/// @file
/// Whether the broker can do what a producer needs of it.
#pragma once

#include "actors/shared/tree_context.hpp"

#include <stargate/caf.hpp>
#include <stargate/options.hpp>

namespace stargate::internal {

/// Whether there is anything to ask. @par Threads any thread
[[nodiscard]] bool needs_check(const producer_options& o);

/// Asks the broker, on a thread of its own, and sends `answer_to` one `fitness_checked`. What nobody lets us ask is
/// taken for granted.
void check_fitness(const tree_context_ptr& tree, const producer_options& o, const caf::actor& answer_to);

} // namespace stargate::internal
