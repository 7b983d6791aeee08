/// @file
/// Counts what `perf` measures, and says it.
#pragma once

#include "cli/histogram.hpp"
#include "cli/perf_options.hpp"

#include <caf/error.hpp>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <optional>

namespace stargate::cli {

/// Counts messages and their times; what came during the warm-up does not count. @par Threads any thread
class perf_meter {
public:
  explicit perf_meter(const perf_options& o) : options_{o} {}

  void add(std::chrono::microseconds latency);
  void fail(caf::error why);
  /// Nothing more comes.
  void finish();
  [[nodiscard]] bool is_done() const { return done_; }
  /// Waits for the end: so many messages, so much time, or an interruption. Says every second how it goes.
  void wait();
  /// Prints what was measured. Gives the command's exit status.
  [[nodiscard]] int report();

private:
  using clock = std::chrono::steady_clock;

  void end();

  const perf_options options_;
  std::mutex mutex_;
  std::condition_variable changed_;
  histogram latencies_;
  std::uint64_t seen_ = 0, failed_ = 0;
  std::optional<caf::error> failure_;
  clock::time_point began_ = clock::now(), ended_ = began_;
  std::chrono::microseconds used_{0}; ///< Processor time.
  std::atomic<bool> done_{false};
};

} // namespace stargate::cli
