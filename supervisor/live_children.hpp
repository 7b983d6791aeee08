/// @file
/// What makes sure that no child survives a supervisor that was killed.
#pragma once

#include <stargate/error.hpp>
#include <stargate/supervisor.hpp>

#include <map>
#include <mutex>
#include <utility>

namespace stargate::internal {

/// The children of one supervisor that live. It belongs to the supervisor and to the functor that CAF runs when the
/// supervisor ends, however it ends.
class live_children {
public:
  void add(const caf::actor& who, child_type type) {
    const std::lock_guard guard{mutex_};
    children_.insert_or_assign(who.id(), std::pair{who, type});
  }

  void remove(const caf::actor_addr& who) {
    const std::lock_guard guard{mutex_};
    children_.erase(who.id());
  }

  /// Ends all, the oldest first: workers by force, supervisors by asking, since they end their own children first.
  /// @par Source OTP: the links of a supervisor that is killed.
  void end_all() {
    const std::lock_guard guard{mutex_};
    for (const auto& [id, child] : std::exchange(children_, {})) {
      if (child.second == child_type::supervisor)
        send_exit(child.first, make_error(exit_code::owner_down, "its supervisor has ended"));
      else
        send_exit(child.first, caf::exit_reason::kill);
    }
  }

private:
  std::mutex mutex_;
  std::map<caf::actor_id, std::pair<caf::actor, child_type>> children_; // ids only grow
};

} // namespace stargate::internal
