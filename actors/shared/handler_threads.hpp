/// @file
/// The threads that run processors whose handlers may block: as few as there is work for, and one more for each handler
/// that takes its time.
#pragma once

#include <stargate/caf.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <vector>

namespace stargate::internal {

/// Light handlers take turns on one thread, which is woken once for many messages. No handler waits for another one to
/// end: a thread whose handler is known to take long steps aside before it runs that, and for those that are not known,
/// an idle thread looks each `tick` whether what waits is being taken. So there are at most as many threads as actors,
/// and one.
///
/// They are detached actors of CAF's, so that an actor system that ends waits for them. @par Threads any thread
class handler_threads final : public execution, public std::enable_shared_from_this<handler_threads> {
public:
  static constexpr std::chrono::milliseconds tick{2};
  static constexpr std::chrono::microseconds lengthy{200}; ///< What takes longer is worth a thread of its own.

  [[nodiscard]] static std::shared_ptr<handler_threads> make(caf::actor_system& system);

  /// This thread is about to be busy for long, with what it has in hand: others are not to wait for it. Does nothing on
  /// a thread that is none of these.
  static void step_aside();

  /// How often an actor was given to a thread: whoever looks twice sees whether others were there meanwhile.
  [[nodiscard]] std::uint64_t turns() const { return turns_.load(std::memory_order_relaxed); }
  /// How many threads there are.
  [[nodiscard]] std::size_t threads() const;

  /// From now on no thread waits for work. What still comes is done.
  void close();

private:
  struct worker;
  using worker_ptr = std::shared_ptr<worker>;

  /// Whom to wake, or what to begin, once the lock is let go of.
  struct call {
    worker_ptr who{};
    enum class beginning { nothing, worker, watch } begins = beginning::nothing;
  };

  /// What those that run here wake is the scheduler's.
  class to_scheduler final : public execution {
  public:
    using execution::execution;

  private:
    void take(caf::resumable* what) override { leave(what); }
  };

  explicit handler_threads(caf::actor_system& system);

  void take(caf::resumable* what) override;
  void make(const call& what);
  void begin(bool is_watch);
  void work(bool is_watch);

  // With the lock held, also when they return:
  [[nodiscard]] call see_to_what_waits();
  [[nodiscard]] call one_more();
  void set_aside(worker& who);
  void run_next(worker& me, std::unique_lock<std::mutex>& lock);
  [[nodiscard]] bool wait_for_work(const worker_ptr& me, std::unique_lock<std::mutex>& lock);
  void watch(const worker_ptr& me, std::unique_lock<std::mutex>& lock);
  void leave_all();

  static thread_local worker* mine_; ///< Null on a thread that is none of these.

  to_scheduler others_;
  mutable std::mutex mutex_;
  std::deque<caf::resumable*> waiting_; // guarded by mutex_, as is what follows
  std::uint64_t handed_in_ = 0;
  std::vector<worker*> all_;
  std::vector<worker_ptr> idle_;
  worker_ptr watch_;          ///< The idle one that looks.
  bool watch_begins_ = false; ///< Its thread does.
  std::size_t ready_ = 0;     ///< Those that will take what waits, now or after what they have in hand;
  std::size_t running_ = 0;   ///< those among them that have something in hand.
  bool closed_ = false;
  std::atomic<std::uint64_t> turns_{0};
};

} // namespace stargate::internal
