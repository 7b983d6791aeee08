/// @file
/// What each socket of a tree is doing.
#pragma once

#include "actors/shared/environment.hpp"

#include <stargate/error.hpp>

#include <chrono>
#include <condition_variable>
#include <map>
#include <mutex>
#include <set>
#include <string>

namespace stargate::internal {

enum class socket_phase : std::uint8_t {
  connecting,
  connected,
  waiting, ///< For the next attempt.
  refused, ///< For good, as far as this attempt goes: a configuration error.
  stopped,
};

/// What each socket of a tree is doing, for those who wait for it or look at it. Written on changes only.
/// @par Threads any thread
class socket_board {
public:
  struct record {
    socket_phase phase = socket_phase::connecting;
    caf::error why;        ///< The last failure, if it is not connected.
    std::string parent;    ///< The key of the actor that started it, if that is not its supervisor.
    bool accepted = false; ///< The broker took it once.
    bool drained = false;  ///< It is not to run, whatever is still said of it.
    caf::actor_id who = 0; ///< The youngest socket that has written here.
  };

  /// @param who the socket itself: one that is on its way out has no word any more once its successor has begun, as it
  /// may when the registry that kept their name was killed
  void set(const std::string& key, caf::actor_id who, socket_phase phase, caf::error why = {});
  void set_parent(const std::string& key, std::string parent);
  [[nodiscard]] std::map<std::string, record> all() const;
  /// Whether this socket, or one before it under its key, was ever connected.
  [[nodiscard]] bool was_accepted(const std::string& key) const;

  /// From now on `wait_connected` waits for this socket too.
  void expect(const std::string& key);
  /// It was drained, or is to run again: `wait_connected` does not wait for one that is drained.
  void set_drained(const std::string& key, bool is_drained);
  /// The socket is gone for good.
  void forget(const std::string& key);
  /// Waits until all expected sockets are connected. @par Errors as `tree::wait_ready`
  [[nodiscard]] caf::error wait_connected(environment& in, environment::clock::time_point until);

  /// The tree has ended: nobody waits any more. @param why what those who wait, or come later, are told
  void end(caf::error why);
  /// Why the tree has ended; empty while it runs.
  [[nodiscard]] caf::error why_ended() const;

private:
  // With the lock held:
  void sort_in(const std::string& key);
  void tell_who_waits();

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::string, record> records_;
  std::set<std::string> expected_;
  std::set<std::string> missing_; ///< Of those expected, who is not connected,
  std::set<std::string> refused_; ///< and who will not be.
  caf::error ended_;
};

[[nodiscard]] std::string to_string(const socket_board::record& r);

} // namespace stargate::internal
