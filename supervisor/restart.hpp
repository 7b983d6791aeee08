/// @file
/// Whom a supervisor restarts, and when it gives up: pure functions of what happened.
#pragma once

#include <stargate/supervisor.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>

namespace stargate::internal {

/// Whether a child that ended with `reason` is started again. @par Source OTP's `do_restart`.
[[nodiscard]] inline bool is_restarted(restart when, const caf::error& reason) {
  switch (when) {
    case restart::permanent: return true;
    case restart::transient: return !is_normal_exit(reason);
    case restart::temporary: return false;
  }
  return false;
}

/// A run of children by their places in start order, from `first` up to and without `last`.
struct child_range {
  std::size_t first = 0;
  std::size_t last = 0;
  friend bool operator==(const child_range&, const child_range&) = default;
};

/// The children that are stopped, in reverse, and started again, in order, when the one at `failed` of `count` ended.
/// @par Source OTP's `restart/3`.
[[nodiscard]] inline child_range affected(strategy how, std::size_t failed, std::size_t count) {
  switch (how) {
    case strategy::one_for_one: return {failed, failed + 1};
    case strategy::one_for_all: return {0, count};
    case strategy::rest_for_one: return {failed, count};
  }
  return {failed, failed + 1};
}

/// Counts restarts, those that fail to start included.
/// @par Source OTP's `add_restart`: whole seconds of a monotonic clock, and a restart counts while `now - t ≤ period`.
class restart_log {
public:
  restart_log(std::uint32_t intensity, std::chrono::seconds period) : intensity_{intensity}, period_{period} {}

  /// Counts a restart at `now`. False when that is one more than allowed: the supervisor gives up.
  [[nodiscard]] bool add(std::chrono::steady_clock::time_point now) {
    const auto second = std::chrono::floor<std::chrono::seconds>(now.time_since_epoch());
    restarts_.push_back(second);
    while (second - restarts_.front() > period_)
      restarts_.pop_front();
    return restarts_.size() <= intensity_;
  }

private:
  std::uint32_t intensity_;
  std::chrono::seconds period_;
  std::deque<std::chrono::seconds> restarts_;
};

} // namespace stargate::internal
