/// @file
/// What becomes of handlers that take longer than they may.
#pragma once

#include "actors/receiver/handling.hpp"
#include "actors/receiver/receiver.hpp"

#include <chrono>
#include <cstddef>
#include <memory>

namespace stargate::internal {

/// How often to look.
[[nodiscard]] std::chrono::milliseconds look_interval(const receiver& whose);

/// Takes from a processor what its handler has had for too long, and does with it what the receiver's options say.
/// @return why the receiver has to end, if it does
[[nodiscard]] caf::error look_after_handler(const tree_context_ptr& tree, const receiver_ptr& receiver,
                                            std::size_t processor, handling& in_hand);

} // namespace stargate::internal
