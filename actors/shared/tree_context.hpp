/// @file
/// What all actors of one tree share: its description, its world, its registry, its transport, the state of its
/// sockets.
#pragma once

#include "actors/shared/census.hpp"
#include "actors/shared/environment.hpp"
#include "actors/shared/event_bus.hpp"
#include "actors/shared/handler_threads.hpp"
#include "actors/shared/idle_watch.hpp"
#include "actors/shared/log_tail.hpp"
#include "actors/shared/metrics.hpp"
#include "actors/shared/plan.hpp"
#include "actors/shared/roster.hpp"
#include "actors/shared/socket_board.hpp"
#include "actors/shared/topic_holds.hpp"
#include "libstargate/connection/frame_memory.hpp"

#include <stargate/error.hpp>
#include <stargate/options.hpp>
#include <stargate/registry.hpp>
#include <stargate/weak_tree.hpp>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

namespace stargate::internal {

class tree_guard;

class tree_context : public std::enable_shared_from_this<tree_context> {
public:
  /// @throws as `environment::make_transport`
  tree_context(caf::actor_system& system, options o, std::shared_ptr<environment> in = {});
  tree_context(const tree_context&) = delete;
  tree_context& operator=(const tree_context&) = delete;
  ~tree_context() { handler_threads->close(); }

  caf::actor_system& system;
  const std::shared_ptr<environment> world;
  const std::shared_ptr<log_tail> last_lines; ///< Of the log; empty unless there is a monitor.
  const options description;                  ///< As it was given, without what runs on topics: that is in the plan.
  internal::plan plan;
  const std::shared_ptr<connection::transport> transport;
  socket_board board;
  internal::census census;
  internal::roster roster;
  topic_holds holds;
  event_bus events;
  internal::metrics metrics;
  const std::shared_ptr<connection::frame_memory> frame_memory = std::make_shared<connection::frame_memory>();
  internal::idle_watch idle_watch{description.idle_check};
  const std::shared_ptr<internal::handler_threads> handler_threads = internal::handler_threads::make(system);
  std::atomic<std::uint16_t> monitor_port{0}; ///< 0 while there is no monitor.

  [[nodiscard]] environment::clock::time_point now() const { return system.clock().now(); }

  /// For those whom the tree keeps.
  [[nodiscard]] weak_tree weak() { return weak_tree{weak_from_this()}; }
  /// What the handles to the tree share; empty when the last has gone.
  [[nodiscard]] std::shared_ptr<tree_guard> guard() const;
  void set_guard(const std::shared_ptr<tree_guard>& who);

  [[nodiscard]] stargate::registry registry() const;
  void set_registry(stargate::registry r);
  /// Numbers all connections of the tree, so that nothing that belongs to one is taken for another's.
  [[nodiscard]] std::uint64_t next_connection() { return ++connections_; }
  /// From now on `board.wait_connected` waits for all sockets of the plan.
  void expect_all();
  /// Of Pulsar, as the broker tells it; it is asked until it has told it. @par Threads any that may block
  [[nodiscard]] caf::expected<std::string> broker_version();
  /// Whether `broker_version` would block.
  [[nodiscard]] bool knows_broker_version() const;
  void say(log_level level, std::string_view source, std::string_view text) const;

  /// Counts an actor among those of the tree, until it has ended.
  caf::actor counted(caf::actor who) {
    census.add(who);
    return who;
  }

  /// How long a name may still be held by an actor that is on its way out, such as the child of a killed supervisor.
  [[nodiscard]] std::chrono::milliseconds name_timeout() const {
    return description.shutdown + std::chrono::seconds{3};
  }
  /// How long an actor may take to start: longer than it may wait for its name.
  [[nodiscard]] std::chrono::milliseconds start_timeout() const { return name_timeout() + std::chrono::seconds{2}; }

  // -- who has come and who has gone, for threads that wait for somebody

  /// Somebody has taken a name.
  void note_arrival();
  /// A supervisor below that of all topics is started: whatever was said of its predecessor is over.
  void note_start(const std::string& supervisor);
  /// What a place below that of all topics is for runs from now on, or is drained and does not.
  void note_place(const plan::item& what);
  /// It has given up. @param why its last child did not live @param who if given, the supervisor itself: nothing is
  /// noted of one that has ended meanwhile
  void note_give_up(const std::string& supervisor, const caf::error& why, const caf::actor& who = {});
  /// The whole tree has ended. What handlers and templates hold is let go.
  void note_end(const caf::error& why);

  /// Waits for the holder of a name, which `supervisor` starts and restarts.
  /// @par Errors as `why_gone`; errc::timed_out
  [[nodiscard]] caf::expected<caf::actor> wait_for(const std::string& name, const std::string& supervisor,
                                                   environment::clock::time_point until);
  /// Why what `supervisor` starts is not there and will not come: errc::stopping when the tree has ended, or why
  /// `supervisor` has given up, with its code, or that it was drained. Empty when there is no reason.
  [[nodiscard]] caf::error why_gone(const std::string& supervisor) const;

private:
  [[nodiscard]] caf::error why_gone_locked(const std::string& supervisor) const;

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  stargate::registry registry_;
  std::weak_ptr<tree_guard> guard_;
  std::map<std::string, caf::error> gone_; ///< Why each supervisor is not there, and will not come by itself.
  std::string broker_version_;
  std::atomic<std::uint64_t> connections_{0};
};

using tree_context_ptr = std::shared_ptr<tree_context>;

} // namespace stargate::internal
