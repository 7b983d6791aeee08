/// @file
/// What a supervisor does about a child that ended: pure functions of what happened.
#pragma once

#include <stargate/supervisor.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

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

/// The children, from the first to before the second, that are stopped, in reverse, and started again, in order, when
/// the one at `failed` ended. `first` to `last` are all children, in start order.
/// @par Source OTP's `restart/3`.
template <class Iterator>
[[nodiscard]] std::pair<Iterator, Iterator> affected(strategy how, Iterator first, Iterator failed, Iterator last) {
  switch (how) {
    case strategy::one_for_all: return {first, last};
    case strategy::rest_for_one: return {failed, last};
    case strategy::one_for_one:
    case strategy::simple_one_for_one: break;
  }
  return {failed, std::next(failed)};
}

/// Whether a supervisor ends because a child ended and is not restarted.
/// @param others_left whether another significant child runs, or is being restarted
/// @par Source OTP's `do_auto_shutdown`.
[[nodiscard]] inline bool shuts_down(auto_shutdown how, bool significant, bool others_left) {
  switch (how) {
    case auto_shutdown::never: return false;
    case auto_shutdown::any_significant: return significant;
    case auto_shutdown::all_significant: return significant && !others_left;
  }
  return false;
}

/// How long one child is to wait before each of its restarts.
class backoff_count {
public:
  /// @param ran how long it ran before it ended, or nothing if it did not start
  [[nodiscard]] std::chrono::milliseconds next(const restart_backoff& how, std::chrono::steady_clock::duration ran) {
    if (ran >= how.most)
      next_ = std::chrono::milliseconds::zero();
    next_ = next_ == std::chrono::milliseconds::zero()
              ? how.first
              : std::min(next_ > how.most / 2 ? how.most : next_ * 2, how.most);
    return next_;
  }

private:
  std::chrono::milliseconds next_{0};
};

/// Counts restarts, those that fail to start included.
/// @par Source OTP's `add_restart`: whole seconds of a monotonic clock, and a restart counts while `now - t ≤ period`.
class restart_log {
public:
  restart_log(std::uint32_t intensity, std::chrono::seconds period) : intensity_{intensity}, period_{period} {}

  /// From now on other bounds hold; what was counted stays counted.
  void set_bounds(std::uint32_t intensity, std::chrono::seconds period) {
    intensity_ = intensity;
    period_ = period;
  }

  /// Counts a restart at `now`. False when that is one more than allowed: the supervisor gives up.
  [[nodiscard]] bool add(std::chrono::steady_clock::time_point now) {
    const auto second = std::chrono::floor<std::chrono::seconds>(now.time_since_epoch());
    const auto counts = [&](std::chrono::seconds then) { return second - then <= period_; };
    restarts_.erase(restarts_.begin(), std::find_if(restarts_.begin(), restarts_.end(), counts)); // all at once
    restarts_.push_back(second);
    return restarts_.size() <= intensity_;
  }

private:
  std::uint32_t intensity_;
  std::chrono::seconds period_;
  std::vector<std::chrono::seconds> restarts_;
};

} // namespace stargate::internal
