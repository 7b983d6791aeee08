/// @file
/// Up to which message everything was acknowledged: pure, for readers.
#pragma once

#include <stargate/message.hpp>

#include <cstdint>
#include <iterator>
#include <map>
#include <optional>
#include <utility>

namespace stargate::internal {

/// Messages are numbered from 1 and acknowledged in any order. It remembers runs of acknowledged messages, of which
/// there are no more than messages are unacknowledged: the broker bounds those.
class position_tracker {
public:
  /// Notes that a message was acknowledged. Gives the id of the last message up to which all were, if that moved.
  [[nodiscard]] std::optional<message_id> acknowledge(std::uint64_t sequence, message_id id) {
    if (sequence <= reached_)
      return std::nullopt;
    auto after = runs_.upper_bound(sequence);
    auto run = after == runs_.begin() ? runs_.end() : std::prev(after);
    if (run != runs_.end() && run->second.last >= sequence)
      return std::nullopt; // acknowledged before
    if (run != runs_.end() && run->second.last + 1 == sequence)
      run->second = {sequence, std::move(id)};
    else
      run = runs_.emplace_hint(after, sequence, end_of_run{sequence, std::move(id)});
    if (after != runs_.end() && after->first == sequence + 1) {
      run->second = std::move(after->second);
      runs_.erase(after);
    }
    if (runs_.begin()->first != reached_ + 1)
      return std::nullopt;
    auto first = runs_.extract(runs_.begin());
    reached_ = first.mapped().last;
    return std::move(first.mapped().id);
  }

  /// A new connection numbers anew.
  void reset() {
    reached_ = 0;
    runs_.clear();
  }

private:
  struct end_of_run {
    std::uint64_t last;
    message_id id;
  };
  std::uint64_t reached_ = 0;
  std::map<std::uint64_t, end_of_run> runs_; ///< By their first message.
};

} // namespace stargate::internal
