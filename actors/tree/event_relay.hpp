/// @file
/// Who brings a tree's events to one listener.
#pragma once

#include "actors/shared/event_bus.hpp"

#include <stargate/event.hpp>

#include <functional>
#include <memory>

namespace stargate::internal {

/// To an actor, or else to a function. The relay lives until the tree has ended and that was told, the actor has ended,
/// or the inbox is closed.
void spawn_event_relay(caf::actor_system& system, const std::shared_ptr<event_inbox>& from, caf::actor to,
                       std::function<void(const event&)> or_to);

} // namespace stargate::internal
