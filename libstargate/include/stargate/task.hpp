/// @file
/// Work that runs once below a supervisor, and whose result somebody waits for.
#pragma once

#include <stargate/caf.hpp>
#include <stargate/error.hpp>
#include <stargate/export.hpp>
#include <stargate/supervisor.hpp>

#include <any>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

namespace STARGATE_API stargate {

/// Where tasks run.
struct task_options {
  /// Each has a thread of its own, and may block; otherwise they run on the scheduler, and must not.
  bool own_thread = true;
  std::optional<std::size_t> max_children = {}; ///< How many may run at a time; one more is an error of its `async`.
};

/// A supervisor of tasks, for `spawn_supervisor` or `supervisor_spec`. Its children are temporary: none is restarted.
/// @par Source Elixir's `Task.Supervisor`
[[nodiscard]] supervisor_options task_supervisor(task_options options = {});

namespace internal {

/// The work of a task, which is answered exactly once.
class task_work {
public:
  task_work() = default;
  task_work(const task_work&) = delete;
  task_work& operator=(const task_work&) = delete;
  virtual ~task_work() = default;
  /// Runs it. What it throws ends the actor that runs it.
  virtual void run() = 0;
  /// Whoever runs it has ended; it counts only if there is no result.
  virtual void fail(const caf::error& why) = 0;
  /// Tells who runs it.
  virtual void run_by(const caf::actor& who) = 0;
};

/// What a task, and whoever asks about it, know of it. @par Threads any thread
template <class T>
class task_state {
public:
  using result = caf::expected<T>;

  void set(result value) {
    std::vector<std::function<void(const result&)>> told;
    {
      const std::lock_guard guard{mutex_};
      if (value_)
        return;
      value_.emplace(std::move(value));
      told.swap(told_);
    }
    changed_.notify_all();
    for (const auto& tell : told)
      tell(*value_); // it never changes again
  }

  [[nodiscard]] std::optional<result> wait(std::chrono::milliseconds timeout) {
    std::unique_lock lock{mutex_};
    changed_.wait_for(lock, timeout, [this] { return value_.has_value(); });
    return value_;
  }

  void tell(std::function<void(const result&)> what) {
    {
      const std::lock_guard guard{mutex_};
      if (!value_) {
        told_.push_back(std::move(what));
        return;
      }
    }
    what(*value_);
  }

  [[nodiscard]] bool is_set() {
    const std::lock_guard guard{mutex_};
    return value_.has_value();
  }

  void run_by(const caf::actor& who) {
    const std::lock_guard guard{mutex_};
    who_ = who.address();
  }
  [[nodiscard]] caf::actor who() {
    const std::lock_guard guard{mutex_};
    return caf::actor_cast<caf::actor>(who_);
  }

private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::optional<result> value_;                          // guarded by mutex_ until it is set, which is once
  std::vector<std::function<void(const result&)>> told_; // guarded by mutex_
  caf::actor_addr who_;                                  // guarded by mutex_
};

template <class T>
struct task_value {
  using type = T;
};
template <class T>
struct task_value<caf::expected<T>> {
  using type = T;
};

template <class T, class Work>
class task_of final : public task_work {
public:
  task_of(std::shared_ptr<task_state<T>> state, Work work) : state_{std::move(state)}, work_{std::move(work)} {}
  ~task_of() override {
    state_->set(make_error(errc::start_failed, "the task was not run: its supervisor has ended, or takes no more"));
  }

  void run() override {
    if (state_->is_set())
      return; // it was shut down before its turn
    if constexpr (std::is_void_v<std::invoke_result_t<Work>>) {
      work_();
      state_->set(caf::expected<void>{});
    } else {
      state_->set(work_());
    }
  }
  void fail(const caf::error& why) override {
    state_->set(why ? why : make_error(exit_code::shutdown, "it ended without a result"));
  }
  void run_by(const caf::actor& who) override { state_->run_by(who); }

private:
  std::shared_ptr<task_state<T>> state_;
  Work work_;
};

[[nodiscard]] caf::error may_wait_for_task(const caf::actor& supervisor);
void begin_task(const caf::actor& supervisor, std::shared_ptr<task_work> work);

} // namespace internal

/// A task that was begun with `async`, and its result to come. Copies mean the same task; the last to go does not end
/// it. @par Threads any thread @par Source Elixir's `Task`
template <class T>
class task {
public:
  /// Waits for the result, and ends the task if it does not come in time.
  /// @par Errors errc::timed_out; errc::would_block on a thread of the scheduler; what the work gave; why it ended
  /// without a result: an exception's text as `caf::sec::runtime_error`, `caf::exit_reason::kill`, or what its
  /// supervisor stopped it with; errc::start_failed when it was not run
  [[nodiscard]] caf::expected<T> await(std::chrono::milliseconds timeout) const {
    if (auto no = internal::may_wait_for_task(supervisor_))
      return no;
    if (auto done = state_->wait(timeout))
      return std::move(*done);
    shutdown();
    return make_error(errc::timed_out, "the task had no result within " + std::to_string(timeout.count()) + " ms");
  }
  /// As `await`, but a task without a result goes on: nothing then.
  [[nodiscard]] std::optional<caf::expected<T>> yield(std::chrono::milliseconds timeout) const {
    if (auto no = internal::may_wait_for_task(supervisor_))
      return caf::expected<T>{std::move(no)};
    return state_->wait(timeout);
  }
  /// Calls `what` with the result, at once if it is there, on the thread that brings it: it must not block or throw.
  void then(std::function<void(const caf::expected<T>&)> what) const { state_->tell(std::move(what)); }
  /// Ends the task by force, whose result is then why. What it is doing takes its course on its own thread, and counts
  /// no more.
  void shutdown() const {
    state_->set(make_error(exit_code::shutdown, "the task was shut down"));
    compat::send_exit(state_->who(), caf::exit_reason::kill);
  }

private:
  template <class Work>
  friend auto async(const caf::actor& supervisor, Work work);
  task(caf::actor supervisor, std::shared_ptr<internal::task_state<T>> state)
    : supervisor_{std::move(supervisor)},
      state_{std::move(state)} {}

  caf::actor supervisor_;
  std::shared_ptr<internal::task_state<T>> state_;
};

/// Begins work below a supervisor of tasks, and returns at once.
/// @param supervisor made of `task_supervisor`
/// @param work a function without parameters, called once; it gives a `T`, a `caf::expected<T>` or nothing
/// @return a `task<T>`
/// @par Threads any thread @par Source Elixir's `Task.Supervisor.async_nolink`
template <class Work>
[[nodiscard]] auto async(const caf::actor& supervisor, Work work) {
  using value = typename internal::task_value<std::invoke_result_t<Work>>::type;
  auto state = std::make_shared<internal::task_state<value>>();
  internal::begin_task(supervisor, std::make_shared<internal::task_of<value, Work>>(state, std::move(work)));
  return task<value>{supervisor, std::move(state)};
}

} // namespace stargate
