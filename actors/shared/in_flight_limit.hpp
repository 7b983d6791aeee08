/// @file
/// How many messages of one producer may be under way: counted where they are handed over.
#pragma once

#include <atomic>
#include <cstddef>

namespace stargate::internal {

/// Whoever hands over faster than the acknowledger can refuse would fill its mailbox; so the caller's thread refuses.
/// @par Threads any thread
class in_flight_limit {
public:
  explicit in_flight_limit(std::size_t most) : most_{most} {}

  /// True when there is room for one more, who is then inside.
  [[nodiscard]] bool enter() {
    if (inside_.fetch_add(1, std::memory_order_relaxed) < most_)
      return true;
    leave();
    return false;
  }
  void leave() { inside_.fetch_sub(1, std::memory_order_relaxed); }
  [[nodiscard]] std::size_t most() const { return most_; }

private:
  const std::size_t most_;
  std::atomic<std::size_t> inside_{0};
};

} // namespace stargate::internal
