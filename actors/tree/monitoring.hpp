/// @file
/// A running tree's HTTP face, for operators: `options::monitor`.
#pragma once

#include "actors/shared/tree_context.hpp"
#include "web/http_server.hpp"

#include <stargate/event.hpp>
#include <stargate/tree.hpp>

#include <array>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

namespace stargate::internal {

/// What a monitor answers, without the sockets. @par Threads one at a time, any but the scheduler's: it asks and waits
class monitor_answers {
public:
  monitor_answers(std::shared_ptr<tree_context> tree, caf::actor top);

  [[nodiscard]] web::response to(const web::request& r);
  /// Adds up what happened since the last time; gives it as JSON. @par Threads one, beside that of `to`
  [[nodiscard]] std::string take_sample();

private:
  [[nodiscard]] web::response metrics();
  [[nodiscard]] web::response health();
  [[nodiscard]] web::response readiness(bool in_detail);
  [[nodiscard]] web::response change(const web::request& r);
  [[nodiscard]] std::string stats();
  [[nodiscard]] std::string pipelines(const std::string& key);
  /// What the tree looked like a moment ago.
  [[nodiscard]] const tree_snapshot& snapshot();

  struct totals {
    std::uint64_t stored = 0, failed = 0, delivered = 0, awaited = 0;
    std::array<std::uint64_t, time_histogram::bounds.size() + 1> receipts{}, handlers{};
  };
  [[nodiscard]] totals add_up() const;

  const std::shared_ptr<tree_context> tree_;
  const caf::actor top_;
  tree_snapshot seen_;
  std::chrono::steady_clock::time_point seen_at_;
  totals last_; // of the sampling thread
  std::chrono::steady_clock::time_point last_at_;
  std::mutex mutex_;
  std::deque<std::string> samples_; // guarded by mutex_
};

/// Serves until it goes. @par Threads any but the scheduler's
class monitoring {
public:
  /// @throws std::runtime_error when nothing can listen at `options::monitor`
  monitoring(const std::shared_ptr<tree_context>& tree, const caf::actor& top);
  monitoring(const monitoring&) = delete;
  monitoring& operator=(const monitoring&) = delete;
  ~monitoring();

private:
  /// Where events go, which may come after their time.
  struct outlet {
    std::mutex mutex;
    web::http_server* server = nullptr;
  };
  void watch();

  const std::shared_ptr<tree_context> tree_;
  monitor_answers answers_;
  web::http_server server_;
  const std::shared_ptr<outlet> outlet_ = std::make_shared<outlet>();
  subscription events_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool ending_ = false; // guarded by mutex_
  std::thread sampling_;
};

} // namespace stargate::internal
