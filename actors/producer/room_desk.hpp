/// @file
/// Room for messages that actors have asked for before they produce.
#pragma once

#include "actors/shared/producing.hpp"

#include <stargate/caf.hpp>
#include <stargate/error.hpp>
#include <stargate/producer.hpp>

#include <algorithm>
#include <cstddef>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <utility>

namespace stargate::internal {

/// Gives room away in the order in which it was asked for. What is reserved counts as under way. It belongs to an
/// acknowledger, and what it holds goes with it.
class room_desk {
public:
  using answer = std::function<void(caf::expected<room>)>;

  explicit room_desk(std::shared_ptr<producing> of) : of_{std::move(of)} {}
  room_desk(const room_desk&) = delete;
  room_desk& operator=(const room_desk&) = delete;
  ~room_desk() {
    for (const auto& [who, count] : reserved_)
      give_back(count);
    for (const auto& w : waiting_)
      w.tell(make_error(errc::stopping, of_->topic + ": the producer's acknowledger has ended; ask its successor"));
  }

  /// Answers as soon as there is room.
  void ask(const caf::actor_addr& who, std::size_t messages, answer tell) {
    waiting_.push_back({who, std::max<std::size_t>(messages, 1), std::move(tell)});
    serve();
  }

  /// There may be room now.
  void serve() {
    while (!waiting_.empty()) {
      auto& next = waiting_.front();
      std::size_t granted = 0;
      while (granted < next.messages && of_->entrance.enter())
        ++granted;
      if (granted == 0)
        return;
      reserved_[next.who] += granted;
      const auto tell = std::move(next.tell);
      waiting_.pop_front();
      tell(room{granted});
    }
  }

  /// Whether a message may come in: by room that its sender has asked for, or because there is some.
  [[nodiscard]] bool enter(const caf::actor_addr& who) {
    const auto found = reserved_.find(who);
    if (found == reserved_.end())
      return of_->entrance.enter();
    if (--found->second == 0)
      reserved_.erase(found);
    return true;
  }

  /// Whoever asked has ended.
  void forget(const caf::actor_addr& who) {
    std::erase_if(waiting_, [&](const auto& w) { return w.who == who; });
    if (const auto found = reserved_.find(who); found != reserved_.end()) {
      give_back(found->second);
      reserved_.erase(found);
    }
    serve();
  }

  [[nodiscard]] const std::shared_ptr<producing>& of() const { return of_; }

private:
  void give_back(std::size_t count) {
    for (; count > 0; --count)
      of_->entrance.leave();
  }

  struct waiting {
    caf::actor_addr who;
    std::size_t messages;
    answer tell;
  };

  const std::shared_ptr<producing> of_;
  std::map<caf::actor_addr, std::size_t> reserved_;
  std::list<waiting> waiting_;
};

} // namespace stargate::internal
