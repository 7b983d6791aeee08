/// @file
/// What a processor's handler has in hand, for who watches over its time.
#pragma once

#include <stargate/message.hpp>

#include <chrono>
#include <mutex>
#include <utility>
#include <vector>

namespace stargate::internal {

/// Shared by a processor, which is busy, and its dispatcher, which watches. Whoever takes the messages first decides
/// about them. @par Threads any thread
class handling {
public:
  using clock = std::chrono::steady_clock; ///< Its time points are those of `tree_context::now`.

  /// @param messages which are there, and which nobody changes, until `finish`: they are copied only when they are taken
  void begin(const std::vector<received_message>& messages, clock::time_point deadline) {
    const std::lock_guard guard{mutex_};
    messages_ = &messages;
    deadline_ = deadline;
  }

  /// The handler is done. False when the messages were taken from it meanwhile.
  [[nodiscard]] bool finish() {
    const std::lock_guard guard{mutex_};
    return std::exchange(messages_, nullptr) != nullptr;
  }

  /// Takes the messages away from a handler that is over its time; none when it is not.
  [[nodiscard]] std::vector<received_message> take_overdue(clock::time_point now) {
    const std::lock_guard guard{mutex_};
    if (messages_ == nullptr || now < deadline_)
      return {};
    return *std::exchange(messages_, nullptr);
  }

private:
  std::mutex mutex_;
  const std::vector<received_message>* messages_ = nullptr; ///< Null when there are none to be decided about.
  clock::time_point deadline_;
};

} // namespace stargate::internal
