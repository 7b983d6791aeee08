/// @file
/// How an actor of a tree begins: it takes its name, and tells its supervisor that it has started.
#pragma once

#include "actors/site.hpp"

#include <stargate/supervisor.hpp>

#include <functional>
#include <string>
#include <utility>

namespace stargate::internal {

/// Registers `self` under `name`, then runs `ready`. If it cannot have the name it ends with the reason.
template <class Self>
void take_name(Self* self, const site_ptr& tree, std::string name, std::function<void()> ready) {
  const auto me = caf::actor_cast<caf::actor>(self);
  const auto registry = tree->registry().actor();
  if (!registry)
    return self->quit(make_error(errc::start_failed, "the tree has no registry"));
  request(self, registry, tree->start_timeout(), register_name{std::move(name), me, tree->name_timeout()})
    .then(
      [tree, ready = std::move(ready)](const registered&) {
        tree->note_arrival();
        ready();
      },
      [self](const caf::error& why) { self->quit(why); });
}

/// `take_name`, then `ready`, and tells the supervisor unless that gave false: then it has ended the actor.
template <class Self>
void join_tree(Self* self, const site_ptr& tree, std::string name, caf::actor supervisor,
               std::function<bool()> ready = {}) {
  take_name(self, tree, std::move(name), [self, supervisor = std::move(supervisor), ready = std::move(ready)] {
    if (!ready || ready())
      send(self, supervisor, child_started{caf::actor_cast<caf::actor>(self)});
  });
}

} // namespace stargate::internal
