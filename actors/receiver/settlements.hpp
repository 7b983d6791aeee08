/// @file
/// Which messages of a connection are settled: pure, for the acknowledgers of consumers and readers.
#pragma once

#include <stargate/message.hpp>

#include <cstdint>
#include <iterator>
#include <map>
#include <utility>

namespace stargate::internal {

/// Messages are numbered from 1 and settled in any order, by their handler or by whoever kept them: who is first
/// counts. It remembers runs of settled messages, of which there are no more than messages are unsettled: the broker
/// bounds those.
class settlements {
public:
  /// False when the message was settled before.
  [[nodiscard]] bool settle(std::uint64_t sequence, message_id id = {}) {
    if (sequence <= reached_)
      return false;
    if (sequence == reached_ + 1 && (runs_.empty() || runs_.begin()->first != sequence + 1)) {
      reached_ = sequence;
      reached_id_ = std::move(id);
      return true;
    }
    auto after = runs_.upper_bound(sequence);
    auto run = after == runs_.begin() ? runs_.end() : std::prev(after);
    if (run != runs_.end() && run->second.last >= sequence)
      return false;
    if (run != runs_.end() && run->second.last + 1 == sequence)
      run->second = {sequence, std::move(id)};
    else
      run = runs_.emplace_hint(after, sequence, end_of_run{sequence, std::move(id)});
    if (after != runs_.end() && after->first == sequence + 1) {
      run->second = std::move(after->second);
      runs_.erase(after);
    }
    if (runs_.begin()->first == reached_ + 1) {
      auto first = runs_.extract(runs_.begin());
      reached_ = first.mapped().last;
      reached_id_ = std::move(first.mapped().id);
    }
    return true;
  }

  [[nodiscard]] bool has(std::uint64_t sequence) const {
    if (sequence <= reached_)
      return true;
    const auto after = runs_.upper_bound(sequence);
    return after != runs_.begin() && std::prev(after)->second.last >= sequence;
  }

  /// The last message up to which all are settled; 0 when there is none.
  [[nodiscard]] std::uint64_t reached() const { return reached_; }
  [[nodiscard]] const message_id& reached_id() const { return reached_id_; }

private:
  struct end_of_run {
    std::uint64_t last;
    message_id id;
  };
  std::uint64_t reached_ = 0;
  message_id reached_id_;
  std::map<std::uint64_t, end_of_run> runs_; ///< By their first message.
};

} // namespace stargate::internal
