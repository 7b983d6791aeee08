/// @file
/// What `perf produce` puts on producers.
#pragma once

#include "cli/perf_meter.hpp"
#include "cli/perf_options.hpp"

#include <stargate/tree.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <mutex>
#include <vector>

namespace stargate::cli {

/// Hands messages to producers, as many as may be outstanding, and as fast as the rate allows.
class perf_load {
public:
  perf_load(const perf_options& o, const tree& t, std::vector<registry_key> producers, perf_meter& m);

  /// Runs until all is done, or the meter is; then waits for what is under way. @par Threads one, which it blocks
  void run();

private:
  using clock = std::chrono::steady_clock;
  static constexpr std::size_t most_at_once = 100;

  [[nodiscard]] std::size_t wait_for_room();
  void take(const caf::expected<message_id>& answer, clock::time_point sent);

  const perf_options options_;
  /// Room for so many is waited for: a tenth of what may be outstanding, so that nearly that many always are.
  const std::size_t batch_ = std::clamp(options_.outstanding / 10, std::size_t{1}, most_at_once);
  const tree& tree_;
  const std::vector<registry_key> producers_;
  perf_meter& meter_;
  std::atomic<std::size_t> under_way_{0};
  std::mutex mutex_;
  std::condition_variable changed_;
};

} // namespace stargate::cli
