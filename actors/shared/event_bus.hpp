/// @file
/// Where what happens in a tree is told, and where it waits for those who listen.
#pragma once

#include "actors/shared/messages.hpp"

#include <stargate/caf.hpp>
#include <stargate/event.hpp>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

namespace stargate::internal {

/// The events of one listener that has not taken them yet: bounded, the oldest go first. @par Threads any thread
class event_inbox {
public:
  explicit event_inbox(std::size_t most) : most_{std::max<std::size_t>(most, 1)} {}

  /// Whoever takes out is to be sent `flush` when there is something to take. Set once, before the first `put`.
  void set_relay(caf::actor who) { relay_ = std::move(who); }
  [[nodiscard]] const caf::actor& relay() const { return relay_; }

  /// True when whoever takes out sleeps, and is to be woken.
  [[nodiscard]] bool put(const event& e) {
    const std::lock_guard guard{mutex_};
    if (closed_)
      return false;
    if (waiting_.size() == most_) {
      waiting_.pop_front();
      ++lost_;
    }
    waiting_.push_back(e);
    return !std::exchange(awake_, true);
  }
  /// The next, with how many were lost before it; nothing when there is none: then whoever asks sleeps.
  [[nodiscard]] std::optional<event> take() {
    const std::lock_guard guard{mutex_};
    if (waiting_.empty() || closed_) {
      awake_ = false;
      return std::nullopt;
    }
    auto next = std::move(waiting_.front());
    waiting_.pop_front();
    next.lost = std::exchange(lost_, 0);
    return next;
  }
  void close() {
    const std::lock_guard guard{mutex_};
    closed_ = true;
    waiting_.clear();
  }
  [[nodiscard]] bool is_closed() const {
    const std::lock_guard guard{mutex_};
    return closed_;
  }

private:
  const std::size_t most_;
  caf::actor relay_; ///< Nobody else keeps it.
  mutable std::mutex mutex_;
  std::deque<event> waiting_;
  std::uint64_t lost_ = 0; ///< Before the first of those.
  bool awake_ = false;
  bool closed_ = false;
};

/// Tells all listeners. Without any, it costs next to nothing. @par Threads any thread
class event_bus {
public:
  void add(std::shared_ptr<event_inbox> who) {
    const std::lock_guard guard{mutex_};
    inboxes_.push_back(std::move(who));
    has_listeners_ = true;
  }

  /// One listener alone.
  static void tell(event_inbox& whom, event e) {
    e.at = std::chrono::system_clock::now();
    if (whom.put(e))
      post(whom.relay(), flush{});
  }

  void tell(const event& e) {
    if (!has_listeners_.load(std::memory_order_relaxed))
      return;
    std::vector<std::shared_ptr<event_inbox>> all;
    {
      const std::lock_guard guard{mutex_};
      std::erase_if(inboxes_, [](const auto& i) { return i->is_closed(); });
      all = inboxes_;
    }
    for (const auto& inbox : all)
      tell(*inbox, e);
  }

private:
  std::atomic<bool> has_listeners_{false};
  std::mutex mutex_;
  std::vector<std::shared_ptr<event_inbox>> inboxes_;
};

} // namespace stargate::internal
