/// @file
/// What is asked of the broker by a receiver's socket, and who waits for the answer.
#pragma once

#include "actors/shared/one_answer.hpp"
#include "libstargate/protocol/frames.hpp"

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace stargate::internal {

/// The questions that are open. Those that a connection took with it are asked again on the next.
class broker_questions {
public:
  using asker = std::shared_ptr<one_answer<bool>>;

  void ask_end_of_topic(asker who) { end_of_topic_.push_back(std::move(who)); }
  void ask_to_unsubscribe(asker who) { leaving_.push_back(std::move(who)); }

  /// The frames to be sent now. With the last of them, if somebody asked for that, the subscription is given up.
  [[nodiscard]] std::vector<std::string> take_frames() {
    std::vector<std::string> frames;
    for (; asked_ < end_of_topic_.size(); ++asked_)
      frames.push_back(protocol::encode_is_end_of_topic());
    if (gives_up())
      frames.push_back(protocol::encode_unsubscribe());
    return frames;
  }
  [[nodiscard]] bool gives_up() const { return !leaving_.empty(); }
  /// The broker does not answer who unsubscribes: once it was told, that is answered here.
  void answer_unsubscribed() {
    for (const auto& who : std::exchange(leaving_, {}))
      who->answer(true);
  }
  void answer_end_of_topic(bool reached) {
    if (end_of_topic_.empty())
      return;
    end_of_topic_.front()->answer(reached);
    end_of_topic_.erase(end_of_topic_.begin());
    asked_ -= asked_ > 0 ? 1 : 0;
  }
  void forget_connection() { asked_ = 0; }

private:
  std::vector<asker> end_of_topic_; ///< Asked for, and not answered.
  std::size_t asked_ = 0;           ///< How many of them this connection was asked.
  std::vector<asker> leaving_;
};

} // namespace stargate::internal
