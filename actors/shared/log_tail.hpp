/// @file
/// The last lines of a log.
#pragma once

#include <stargate/log.hpp>

#include <chrono>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace stargate::internal {

/// Keeps the last lines of a log, and tells whoever watches. @par Threads any thread
class log_tail {
public:
  struct line {
    std::chrono::system_clock::time_point at;
    log_level level;
    std::string source, text;
  };
  static constexpr std::size_t most = 200;

  void add(log_level level, std::string_view source, std::string_view text) {
    const std::lock_guard guard{mutex_};
    if (lines_.size() == most)
      lines_.pop_front();
    lines_.push_back({std::chrono::system_clock::now(), level, std::string{source}, std::string{text}});
    if (watcher_)
      watcher_(lines_.back());
  }
  [[nodiscard]] std::vector<line> lines() const {
    const std::lock_guard guard{mutex_};
    return {lines_.begin(), lines_.end()};
  }
  /// @param who is told each line from now on, one at a time; it must not block, or log. Empty: nobody
  void watch(std::function<void(const line&)> who) {
    const std::lock_guard guard{mutex_};
    watcher_ = std::move(who);
  }

private:
  mutable std::mutex mutex_;
  std::deque<line> lines_;
  std::function<void(const line&)> watcher_;
};

} // namespace stargate::internal
