/// @file
/// Questions to the broker's administration that may wait for each other: one thread asks them all, by one connection.
#pragma once

#include <stargate/admin.hpp>
#include <stargate/caf.hpp>

#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <utility>

namespace stargate::internal {

/// A queue of errands, and whoever runs them: nobody while there are none. @par Threads any thread
class errands {
public:
  /// Asks; gives the error with which the broker's administration did not answer at all, else nothing.
  using errand = std::function<caf::error(const admin& broker)>;
  /// Instead of it, where the one before got no answer.
  using refusal = std::function<void(const caf::error& why)>;

  /// True when whoever calls has to see to it that `run` runs.
  [[nodiscard]] bool add(errand what, refusal or_else) {
    const std::lock_guard guard{mutex_};
    waiting_.push_back({std::move(what), std::move(or_else)});
    changed_.notify_one();
    return !std::exchange(runs_, true);
  }

  /// Runs what is there, and what comes within a while. When the administration does not answer, all that wait are told
  /// so: to wait for each in turn would take as often as long. @par Threads one that may block
  void run(const std::function<admin()>& make_admin, std::chrono::milliseconds lingering) {
    const auto broker = make_admin();
    for (std::unique_lock lock{mutex_};;) {
      if (waiting_.empty() && !closed_ && lingering.count() > 0)
        changed_.wait_for(lock, lingering, [this] { return !waiting_.empty() || closed_; });
      if (waiting_.empty()) {
        runs_ = false;
        return;
      }
      const auto next = std::move(waiting_.front());
      waiting_.pop_front();
      lock.unlock();
      const auto silent = next.what(broker);
      lock.lock();
      if (!silent)
        continue;
      const auto others = std::exchange(waiting_, {});
      lock.unlock();
      for (const auto& o : others)
        o.or_else(silent);
      lock.lock();
    }
  }

  /// Nobody lingers any more.
  void close() {
    const std::lock_guard guard{mutex_};
    closed_ = true;
    changed_.notify_all();
  }

private:
  struct entry {
    errand what;
    refusal or_else;
  };
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<entry> waiting_; // guarded by mutex_
  bool runs_ = false;         // guarded by mutex_
  bool closed_ = false;       // guarded by mutex_
};

} // namespace stargate::internal
