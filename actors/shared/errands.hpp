/// @file
/// Questions to the broker's administration that may wait for each other: one thread asks them all, by one connection.
#pragma once

#include <stargate/admin.hpp>
#include <stargate/caf.hpp>
#include <stargate/error.hpp>

#include <chrono>
#include <condition_variable>
#include <cstdint>
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

  enum class turn : std::uint8_t { next, last };

  /// True when whoever calls has to see to it that `run` runs.
  [[nodiscard]] bool add(errand what, refusal or_else, turn at = turn::last) {
    const std::lock_guard guard{mutex_};
    waiting_.insert(at == turn::next ? waiting_.begin() : waiting_.end(), {std::move(what), std::move(or_else)});
    changed_.notify_one();
    return !std::exchange(runs_, true);
  }

  /// Runs what is there, and what comes within a while, from one to the next not sooner than after `pace`: thousands may
  /// wait, and a broker has other things to do. When the administration does not answer, all that wait are told so: to
  /// wait for each in turn would take as often as long. Those that wait when it is closed are told that.
  /// @par Threads one that may block
  void run(const std::function<admin()>& make_admin, std::chrono::milliseconds lingering,
           std::chrono::milliseconds pace) {
    const auto broker = make_admin();
    std::chrono::steady_clock::time_point next_at{};
    for (std::unique_lock lock{mutex_};;) {
      if (waiting_.empty() && !closed_ && lingering.count() > 0)
        changed_.wait_for(lock, lingering, [this] { return !waiting_.empty() || closed_; });
      if (waiting_.empty()) {
        runs_ = false;
        return;
      }
      if (closed_) {
        refuse_all(lock, make_error(errc::stopping, "the tree ends"));
        continue;
      }
      if (pace.count() > 0 && changed_.wait_until(lock, next_at, [this] { return closed_; }))
        continue;
      const auto next = std::move(waiting_.front());
      waiting_.pop_front();
      lock.unlock();
      const auto silent = next.what(broker);
      lock.lock();
      next_at = std::chrono::steady_clock::now() + pace;
      if (silent)
        refuse_all(lock, silent);
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

  void refuse_all(std::unique_lock<std::mutex>& lock, const caf::error& why) {
    const auto all = std::exchange(waiting_, {});
    lock.unlock();
    for (const auto& e : all)
      e.or_else(why);
    lock.lock();
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<entry> waiting_; // guarded by mutex_
  bool runs_ = false;         // guarded by mutex_
  bool closed_ = false;       // guarded by mutex_
};

} // namespace stargate::internal
