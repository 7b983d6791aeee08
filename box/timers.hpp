/// @file
/// What is to be done later, in the box's own time.
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <utility>

namespace stargate::box {

/// Microseconds since the box began. Who runs it says what time it is: a clock, or a test.
using micros = std::int64_t;
inline constexpr micros never = std::numeric_limits<micros>::max();
inline constexpr micros millisecond = 1'000;
inline constexpr micros second = 1'000'000;

class timers {
public:
  micros now = 0;
  std::int64_t began = 0; ///< Milliseconds since 1970 when it was 0.
  [[nodiscard]] std::int64_t wall() const { return began + now / millisecond; }

  /// Does `what` at its time, unless `owner` is gone by then. What is due at the same time is done in the order in which
  /// it was asked for.
  void at(micros when, std::weak_ptr<const void> owner, std::function<void()> what) {
    waiting_.emplace(when, task{std::move(owner), std::move(what)});
  }
  void after(micros time, std::weak_ptr<const void> owner, std::function<void()> what) {
    at(now + time, std::move(owner), std::move(what));
  }

  [[nodiscard]] micros next_due() const { return waiting_.empty() ? never : waiting_.begin()->first; }

  /// Goes to `time`, and does what is due until then.
  void advance(micros time) {
    while (!waiting_.empty() && waiting_.begin()->first <= time) {
      auto first = waiting_.extract(waiting_.begin());
      now = std::max(now, first.key());
      if (const auto owner = first.mapped().owner.lock())
        first.mapped().what();
    }
    now = std::max(now, time);
  }

private:
  struct task {
    std::weak_ptr<const void> owner;
    std::function<void()> what;
  };
  std::multimap<micros, task> waiting_;
};

} // namespace stargate::box
