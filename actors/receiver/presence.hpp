/// @file
/// Whether the broker still has a consumer or reader whose connection stands. When a topic is deleted, the broker's
/// side of the connection may give its consumer up and say nothing: no frame comes any more, and none fails.
#pragma once

#include "actors/receiver/receiver.hpp"

#include <stargate/caf.hpp>

#include <cstdint>

namespace stargate::internal {

/// Asks the broker, on a thread of its own, when its turn has come, and sends `answer_to` one `presence_checked`.
void check_presence(const tree_context_ptr& tree, const receiver_ptr& receiver, std::uint64_t connection,
                    const caf::actor& answer_to, errands::turn turn);

} // namespace stargate::internal
