/// @file
/// What stops a tree: with the last handle to it, or with its actor system.
#pragma once

#include "actors/inspection.hpp"
#include "actors/site.hpp"

#include <stargate/caf.hpp>

#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>

namespace stargate::internal {

/// Whether an actor has ended, for threads that wait for it. It touches no actor system, which may go once all actors
/// have ended. @par Threads any thread
class ending {
public:
  explicit ending(const caf::actor& who);
  /// False when it has not ended in time.
  [[nodiscard]] bool wait(std::chrono::milliseconds timeout) const;

private:
  struct parts {
    std::mutex mutex;
    std::condition_variable changed;
    bool ended = false; // guarded by mutex
  };
  std::shared_ptr<parts> parts_ = std::make_shared<parts>();
};

/// What the copies of a `tree` share: the last to go stops the tree. @par Threads any thread but one of the scheduler's
class tree_guard {
public:
  /// Makes the guard of a tree, which `stop_all` then knows.
  [[nodiscard]] static std::shared_ptr<tree_guard> make(site_ptr site, caf::actor supervisor);
  tree_guard(site_ptr s, caf::actor top);
  tree_guard(const tree_guard&) = delete;
  tree_guard& operator=(const tree_guard&) = delete;
  ~tree_guard();

  const site_ptr site;
  const caf::actor supervisor;
  std::unique_ptr<inspection_server> inspection; ///< Empty unless `options::inspection_socket` is set.

  /// @par Errors as `tree::stop`
  caf::error stop(std::chrono::milliseconds timeout);

private:
  [[nodiscard]] caf::error end(std::chrono::milliseconds timeout) const;

  const ending ended_;
  std::once_flag stopped_;
  caf::error outcome_;
};

} // namespace stargate::internal
