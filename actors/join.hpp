/// @file
/// How an actor of a tree begins: it takes its name, and tells its supervisor that it has started.
#pragma once

#include "actors/site.hpp"

#include <stargate/supervisor.hpp>

#include <chrono>
#include <functional>
#include <string>
#include <utility>

namespace stargate::internal {

/// How long a name may still be held by an actor that is on its way out, such as the child of a killed supervisor.
inline constexpr std::chrono::milliseconds name_timeout{8'000};
/// How long an actor may take to start: longer than it may wait for its name.
inline constexpr std::chrono::milliseconds start_timeout{10'000};

/// Registers `self` under `name`, then runs `ready`. If it cannot have the name it ends with the reason.
template <class Self>
void take_name(Self* self, const site& tree, std::string name, std::function<void()> ready) {
  const auto me = caf::actor_cast<caf::actor>(self);
  const auto registry = tree.registry().actor();
  if (!registry)
    return self->quit(make_error(errc::start_failed, "the tree has no registry"));
  request(self, registry, start_timeout, register_name{std::move(name), me, name_timeout})
    .then([ready = std::move(ready)](const registered&) { ready(); },
          [self](const caf::error& why) { self->quit(why); });
}

/// `take_name`, then `ready`, and tells the supervisor unless that gave false: then it has ended the actor.
template <class Self>
void join_tree(Self* self, const site& tree, std::string name, caf::actor supervisor,
               std::function<bool()> ready = {}) {
  take_name(self, tree, std::move(name), [self, supervisor = std::move(supervisor), ready = std::move(ready)] {
    if (!ready || ready())
      send(self, supervisor, child_started{caf::actor_cast<caf::actor>(self)});
  });
}

} // namespace stargate::internal
