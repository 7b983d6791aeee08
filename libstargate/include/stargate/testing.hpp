/// @file
/// Tests of programs that use trees: a world of its own for each, with a broker in it, in virtual time.
///
/// A `world` runs a tree, its handlers and any actors of yours on the thread of the test, against the broker of
/// `stargate standalone` (which is held against Pulsar), with no port and no clock: an hour passes when you say so. The order in which actors
/// run comes from a seed, so that what two threads would do now and then is done each time with one seed, and otherwise with another.
///
/// It is the component `testing` of the package: `find_package(stargate COMPONENTS testing)`, `stargate::testing`.
#pragma once

#include <stargate/admin.hpp>
#include <stargate/export.hpp>
#include <stargate/handler.hpp>
#include <stargate/message.hpp>
#include <stargate/options.hpp>
#include <stargate/supervisor.hpp>
#include <stargate/tree.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace STARGATE_API stargate {
namespace testing {

/// A message as a handler gets it, with an id of its own, published now. Acknowledging it does nothing:
/// `world::make_received` gives one that is watched.
[[nodiscard]] received_message make_received_message(message content);

/// @par Threads that of the test, and no other; handlers and actors run on it, too, while one of its calls does
class world {
public:
  /// @param seed the order in which actors run
  explicit world(std::uint64_t seed = 1);
  /// Stops the trees that still run. Handles to them may be gone before, or not be used after.
  ~world();
  world(const world&) = delete;
  world& operator=(const world&) = delete;

  /// The actor system, in virtual time and without threads: for actors of your own.
  [[nodiscard]] caf::actor_system& system();

  /// As `stargate::start`, in this world: hosts, TLS and token are not used, and `run_on::own_thread` is the scheduler.
  /// Calls of the tree that wait let the world go on until they are answered. @par Errors as `stargate::start`
  [[nodiscard]] caf::expected<tree> start(options o);
  /// As `stargate::tree_spec`, in this world.
  [[nodiscard]] child_spec tree_spec(options o, child_id id = {}, restart restart = restart::permanent);

  // -- time

  /// Does all that happens in the time that passes, and in no time.
  void advance(std::chrono::milliseconds time);
  /// Goes on until `done`, at most so long; gives what `done` says then.
  [[nodiscard]] bool run_until(const std::function<bool()>& done,
                               std::chrono::milliseconds at_most = std::chrono::minutes{10});
  /// Since the world began.
  [[nodiscard]] std::chrono::milliseconds now() const;

  // -- the broker

  /// Stores a message, as if somebody else produced it; the topic is made when it is not there.
  void publish(const topic_name& topic, message content);
  /// What is stored on a topic, or on all partitions of one, the oldest first.
  [[nodiscard]] std::vector<message> stored(const topic_name& topic) const;
  /// How many messages a subscription has not acknowledged; nothing when there is none of this name. Of a batch, all until
  /// all are.
  [[nodiscard]] std::optional<std::size_t> backlog(const topic_name& topic, const std::string& subscription) const;
  /// Those that it has.
  [[nodiscard]] std::vector<message> acknowledged(const topic_name& topic, const std::string& subscription) const;
  /// Its administration: tenants, namespaces, partitions, subscriptions.
  [[nodiscard]] admin administration();

  // -- faults

  /// Breaks every connection there is; what is under way on them is lost.
  void cut();
  /// From now on nothing gets through on the connections there are, and nobody is told: both ends learn of it when a
  /// ping has gone unanswered.
  void half_open();
  /// Answers every handshake with this status, until `accept`.
  void refuse(int status);
  /// Answers handshakes as it should.
  void accept();
  /// The broker ends, and with it all connections; nobody listens until `come_back`. What is stored stays.
  void go_down();
  /// The broker is there again.
  void come_back();
  /// What each frame takes, each way; 1 ms in the beginning.
  void delay(std::chrono::milliseconds each_way);

  // -- a handler alone

  /// A message that is watched: what was said of it later.
  struct watched {
    received_message message; ///< To give to a handler.

    /// How often it was acknowledged, or refused, by its methods. What the handler answers, it answers to you.
    [[nodiscard]] std::size_t acknowledged() const;
    /// How often it was negatively acknowledged, by its methods.
    [[nodiscard]] std::size_t negatively_acknowledged() const;

    struct counts;
    std::shared_ptr<counts> seen; ///< The library's own.
  };
  /// `context` is the topic that it is said to be of.
  [[nodiscard]] watched make_received(message content, const topic_name& topic);

  struct implementation; ///< The library's own.

private:
  std::shared_ptr<implementation> inside_;
};

} // namespace testing
} // namespace stargate
