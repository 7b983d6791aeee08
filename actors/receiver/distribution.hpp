/// @file
/// Who is given which of the messages that came, and how many the broker may send: pure, without the actors.
#pragma once

#include "actors/receiver/demand.hpp"
#include "actors/receiver/messages.hpp"
#include "actors/receiver/rate_limiter.hpp"
#include "libstargate/base/late_deque.hpp"
#include "libstargate/protocol/frames.hpp"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

namespace stargate::internal {

/// What one connection brought and nobody has yet, and who asked for how much of it.
/// @tparam Receiver something that can be compared, such as an actor's handle
template <class Receiver>
class distribution {
public:
  using clock = rate_limiter::clock;
  struct share {
    Receiver to;
    std::vector<raw_message> messages;
  };

  /// @param queues one for all receivers, or one for each when a key belongs to a receiver
  distribution(std::size_t queues, double rate) : waiting_(queues), limiter_{rate} {}

  /// A message came.
  void add(std::string frame) {
    permitted_ -= permitted_ > 0 ? 1 : 0;
    auto& queue = waiting_[waiting_.size() == 1 ? 0 : place_of(frame)];
    queue.push_back({++sequence_, std::move(frame)});
  }

  /// A receiver takes so many more. @param index its place among the receivers
  void ask(const Receiver& who, std::size_t index, std::size_t count) {
    if (!demand_.knows(who))
      places_.emplace_back(who, index);
    demand_.ask(who, count);
  }
  [[nodiscard]] bool knows(const Receiver& who) const { return demand_.knows(who); }
  void forget(const Receiver& who) {
    demand_.forget(who);
    std::erase_if(places_, [&](const auto& place) { return place.first == who; });
  }

  /// Takes what is to be given out now: no more than was asked for, and than the rate allows.
  [[nodiscard]] std::vector<share> take(clock::time_point now) {
    std::vector<share> result;
    const auto allowed = limiter_.available(now);
    std::size_t given = 0;
    if (waiting_.size() == 1) {
      for (auto& [who, count] : demand_.take(std::min(waiting_.front().size(), allowed)))
        given += move_to(result, who, waiting_.front(), count);
    } else {
      for (const auto& [who, index] : places_) {
        auto& queue = waiting_[index % waiting_.size()];
        const auto count = std::min({queue.size(), demand_.of(who), allowed - given});
        demand_.take_from(who, count);
        given += move_to(result, who, queue, count);
      }
    }
    limiter_.take(given);
    held_back_ = allowed == given && waiting() > 0;
    return result;
  }
  /// Whether the last `take` left something only because of the rate, and how long until that allows more.
  [[nodiscard]] bool held_back() const { return held_back_; }
  [[nodiscard]] std::chrono::milliseconds wait() const {
    return std::max(limiter_.wait(), std::chrono::milliseconds{1});
  }

  /// How many messages the broker may send more, in pull mode: as many as are asked for and are neither here nor under
  /// way. Those that handlers keep, with `continue_`, are bounded by `most`, as the broker bounds them in push mode.
  [[nodiscard]] std::size_t permit(std::size_t most) {
    const auto expected = permitted_ + waiting();
    const auto unsettled = permitted_ + sequence_ - std::min<std::size_t>(settled_, sequence_);
    if (demand_.total() <= expected || unsettled >= most)
      return 0;
    const auto more = std::min(demand_.total() - expected, most - unsettled);
    permitted_ += more;
    return more;
  }
  /// So many of the messages of this connection are settled.
  void settle(std::size_t total) { settled_ = total; }

  /// The connection is gone: the broker delivers again what waits, and counts from the beginning.
  void forget_connection() {
    sequence_ = 0;
    permitted_ = 0;
    settled_ = 0;
    forget_waiting();
  }
  void forget_waiting() {
    for (auto& queue : waiting_)
      queue.clear();
  }

  [[nodiscard]] std::size_t waiting() const {
    std::size_t count = 0;
    for (const auto& queue : waiting_)
      count += queue.size();
    return count;
  }
  [[nodiscard]] std::size_t demanded() const { return demand_.total(); }

private:
  /// The receiver to which a message's key belongs; messages without a key go around.
  [[nodiscard]] std::size_t place_of(const std::string& frame) const {
    const auto key = protocol::key_of(frame);
    return (key ? std::hash<std::string>{}(*key) : sequence_) % waiting_.size();
  }

  static std::size_t move_to(std::vector<share>& result, const Receiver& who, late_deque<raw_message>& queue,
                             std::size_t count) {
    if (count == 0)
      return 0;
    const auto end = queue.begin() + static_cast<std::ptrdiff_t>(count);
    result.push_back({who, {std::make_move_iterator(queue.begin()), std::make_move_iterator(end)}});
    queue.erase(queue.begin(), end);
    return count;
  }

  std::vector<late_deque<raw_message>> waiting_;
  internal::demand<Receiver> demand_;
  std::vector<std::pair<Receiver, std::size_t>> places_;
  rate_limiter limiter_;
  bool held_back_ = false;
  std::uint64_t sequence_ = 0;
  std::size_t permitted_ = 0; ///< In pull mode: what the broker may still send,
  std::size_t settled_ = 0;   ///< and how many of the messages of this connection are settled.
};

} // namespace stargate::internal
