/// @file
/// How an actor of a tree begins: it takes its name, and tells its supervisor that it has started.
#pragma once

#include "actors/shared/tree_context.hpp"

#include <stargate/supervisor.hpp>

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <utility>

namespace stargate::internal {

/// How soon to look again for a registry that is being restarted, and for how long: its supervisor may be the one that
/// waits for whoever looks, and can restart the registry only after that.
inline constexpr std::chrono::milliseconds registry_interval{20}, registry_patience{500};

/// What becomes of a name that its holder does not give up in time.
enum class name_claim : std::uint8_t {
  patient,  ///< It stays the holder's, and who wants it ends.
  by_force, ///< It is taken: the holder hangs, and nothing can end it.
};

/// Registers `self` under `name`, then runs `ready`. If it cannot have the name it ends with the reason. A registry
/// that is being restarted is waited for: that is no failure of this actor.
template <class Self>
void take_name(Self* self, const tree_context_ptr& tree, std::string name, std::function<void()> ready,
               name_claim how = name_claim::patient, std::chrono::steady_clock::time_point until = {}) {
  if (until == std::chrono::steady_clock::time_point{})
    until = tree->now() + registry_patience;
  const auto me = caf::actor_cast<caf::actor>(self);
  const auto again = [=] {
    if (tree->now() >= until)
      return self->quit(make_error(errc::start_failed, "the tree has no registry"));
    send_later(self, registry_interval, deferred{[=] { take_name(self, tree, name, ready, how, until); }});
  };
  const auto registry = tree->registry().actor();
  if (!registry)
    return again();
  request_for_ever(self, registry, register_name{name, me, tree->name_timeout()}) // which keeps to its time
    .then(
      [tree, ready](const registered&) {
        tree->note_arrival();
        ready();
      },
      [=](const caf::error& why) {
        if (how == name_claim::by_force && code_of(why) == errc::already_registered) {
          post(registry, unregister_name{name});
          return take_name(self, tree, name, ready, how);
        }
        if (is_receiver_down(why))
          again();
        else
          self->quit(why);
      });
}

/// `take_name`, then `ready`, and tells the supervisor unless that gave false: then it has ended the actor.
template <class Self>
void join_tree(Self* self, const tree_context_ptr& tree, std::string name, caf::actor supervisor,
               std::function<bool()> ready = {}, name_claim how = name_claim::patient) {
  take_name(
    self, tree, std::move(name),
    [self, supervisor = std::move(supervisor), ready = std::move(ready)] {
      if (!ready || ready())
        send(self, supervisor, child_started{caf::actor_cast<caf::actor>(self)});
    },
    how);
}

} // namespace stargate::internal
