/// @file
/// How many messages may pass now: pure, a token bucket.
#pragma once

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <limits>

namespace stargate::internal {

/// Lets `rate` messages a second pass on average, and at most a tenth of that at once. A rate of 0 lets all pass.
class rate_limiter {
public:
  using clock = std::chrono::steady_clock;

  explicit rate_limiter(double rate) : rate_{rate}, most_{std::max(1.0, rate / 10)}, tokens_{most_} {}

  /// How many may pass at `now`.
  [[nodiscard]] std::size_t available(clock::time_point now) {
    if (rate_ <= 0)
      return std::numeric_limits<std::size_t>::max();
    if (last_ != clock::time_point{})
      tokens_ = std::min(most_, tokens_ + std::chrono::duration<double>(now - last_).count() * rate_);
    last_ = now;
    return static_cast<std::size_t>(tokens_);
  }
  /// So many have passed.
  void take(std::size_t count) {
    if (rate_ > 0)
      tokens_ -= static_cast<double>(count);
  }
  /// How long until the next may pass.
  [[nodiscard]] std::chrono::milliseconds wait() const {
    if (rate_ <= 0 || tokens_ >= 1)
      return std::chrono::milliseconds{0};
    return std::chrono::milliseconds{static_cast<long>(std::ceil((1 - tokens_) / rate_ * 1000))};
  }

private:
  double rate_;
  double most_;
  double tokens_;
  clock::time_point last_{};
};

} // namespace stargate::internal
