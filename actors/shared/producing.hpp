/// @file
/// What is known of a topic's producer without asking its actors.
#pragma once

#include "actors/shared/in_flight_limit.hpp"
#include "libstargate/connection/transport.hpp"

#include <stargate/caf.hpp>
#include <stargate/error.hpp>
#include <stargate/log.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

namespace stargate::internal {

/// What those who hand over messages need to know of a topic's producer. @par Threads any thread
class producing {
public:
  producing(std::string topic_, std::chrono::milliseconds timeout, std::size_t max_pending, log_hook log_)
    : topic{std::move(topic_)},
      send_timeout{timeout},
      entrance{max_pending},
      log{std::move(log_)} {}

  const std::string topic;
  const std::chrono::milliseconds send_timeout;
  in_flight_limit entrance;
  const log_hook log;
  std::atomic<std::size_t> callbacks{0}; ///< How many functions of the application wait for receipts.

  /// Whether whoever hands over a message now does best to carry it to its socket: none is under way, or the last has
  /// gone a while ago. While messages stream, they are better left to the acknowledger, which takes many at a time.
  [[nodiscard]] bool is_calm(std::chrono::steady_clock::time_point now) {
    const auto last = last_handed_over_.exchange(now.time_since_epoch().count(), std::memory_order_relaxed);
    return pending_.load(std::memory_order_relaxed) == 0
           || now.time_since_epoch().count() - last >= std::chrono::steady_clock::duration{stream_pause}.count();
  }
  /// How many are under way, as the acknowledger sees it.
  void set_pending(std::size_t count) { pending_.store(count, std::memory_order_relaxed); }

  /// The producer's acknowledger, from when it has its name until it ends; empty where there is none. The registry has
  /// the same answer, for some locks and strings more.
  [[nodiscard]] caf::actor acknowledger() const {
    const std::lock_guard guard{mutex_};
    return acknowledger_;
  }
  void enter(caf::actor acknowledger) {
    const std::lock_guard guard{mutex_};
    acknowledger_ = std::move(acknowledger);
  }
  /// The connection by which messages go out; null where there is none.
  [[nodiscard]] std::shared_ptr<connection::link> link() const {
    const std::lock_guard guard{mutex_};
    return link_.lock();
  }
  void set_link(std::weak_ptr<connection::link> link) {
    const std::lock_guard guard{mutex_};
    link_ = std::move(link);
  }
  /// Whoever has entered meanwhile stays.
  void leave(const caf::actor_addr& acknowledger) {
    caf::actor gone; // outside of the lock
    const std::lock_guard guard{mutex_};
    if (acknowledger_ && acknowledger_.address() == acknowledger)
      std::swap(gone, acknowledger_);
  }

private:
  static constexpr std::chrono::microseconds stream_pause{200};

  std::atomic<std::chrono::steady_clock::rep> last_handed_over_{0};
  std::atomic<std::size_t> pending_{0};
  mutable std::mutex mutex_;
  caf::actor acknowledger_;
  std::weak_ptr<connection::link> link_;
};

/// The error of one message too many.
[[nodiscard]] inline caf::error queue_full(const producing& of) {
  return make_error(errc::queue_full,
                    of.topic + ": " + std::to_string(of.entrance.most())
                      + " messages await their receipts, as many as max_pending allows; slow down, ask "
                        "for room first (wait_for_room), or raise max_pending");
}

} // namespace stargate::internal
