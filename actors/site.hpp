/// @file
/// What all actors of one tree share: its description, its registry, its event loop, the state of its sockets.
#pragma once

#include <stargate/error.hpp>
#include <stargate/options.hpp>
#include <stargate/registry.hpp>

#include "actors/plan.hpp"
#include "libstargate/connection/event_loop.hpp"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

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
  /// The socket is gone for good.
  void forget(const std::string& key);
  /// Waits until all expected sockets are connected. @par Errors as `tree::wait_ready`
  [[nodiscard]] caf::error wait_connected(std::chrono::milliseconds timeout);

private:
  void sort_in(const std::string& key);

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::string, record> records_;
  std::set<std::string> expected_;
  std::set<std::string> missing_; ///< Of those expected, who is not connected,
  std::set<std::string> refused_; ///< and who will not be.
};

[[nodiscard]] std::string to_string(const socket_board::record& r);

/// Where a reader goes on after a lost connection or a restart: behind the last message up to which all were
/// acknowledged. It outlives the reader's actors. @par Threads any thread
class reader_position {
public:
  explicit reader_position(std::string start) : text_{std::move(start)} {}
  void set(std::string id) {
    const std::lock_guard guard{mutex_};
    text_ = std::move(id);
  }
  [[nodiscard]] std::string get() const {
    const std::lock_guard guard{mutex_};
    return text_;
  }

private:
  mutable std::mutex mutex_;
  std::string text_;
};

class site {
public:
  site(caf::actor_system& system, options o);

  caf::actor_system& system;
  const options description; ///< As it was given: what runs on topics now is in the plan.
  internal::plan plan;
  const std::shared_ptr<connection::event_loop> loop;
  socket_board board;

  [[nodiscard]] stargate::registry registry() const;
  void set_registry(stargate::registry r);
  /// Numbers all connections of the tree, so that nothing that belongs to one is taken for another's.
  [[nodiscard]] std::uint64_t next_connection() { return ++connections_; }
  /// From now on `board.wait_connected` waits for all sockets of a plan.
  void expect(const internal::plan::snapshot& s);
  void say(log_level level, std::string_view source, std::string_view text) const;

private:
  mutable std::mutex mutex_;
  stargate::registry registry_;
  std::atomic<std::uint64_t> connections_{0};
};

using site_ptr = std::shared_ptr<site>;

} // namespace stargate::internal
