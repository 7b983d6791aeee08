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

  void begin(std::vector<received_message> messages, clock::time_point deadline) {
    const std::lock_guard guard{mutex_};
    messages_ = std::move(messages);
    deadline_ = deadline;
    busy_ = true;
  }

  /// The handler is done. Gives the messages; none when they were taken from it meanwhile.
  [[nodiscard]] std::vector<received_message> finish() {
    const std::lock_guard guard{mutex_};
    busy_ = false;
    return std::exchange(messages_, {});
  }

  /// Takes the messages away from a handler that is over its time; none when it is not.
  [[nodiscard]] std::vector<received_message> take_overdue(clock::time_point now) {
    const std::lock_guard guard{mutex_};
    if (!busy_ || now < deadline_)
      return {};
    busy_ = false;
    return std::exchange(messages_, {});
  }

private:
  std::mutex mutex_;
  std::vector<received_message> messages_;
  clock::time_point deadline_;
  bool busy_ = false;
};

} // namespace stargate::internal
