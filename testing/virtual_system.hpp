/// @file
/// An actor system on one thread and in virtual time, on both generations of CAF: nothing runs and no time passes but
/// when its owner has it so. Unit tests, worlds for the tests of programs and the simulation stand on it.
#pragma once

#include <stargate/caf.hpp>

#include <caf/actor_clock.hpp>

#if STARGATE_CAF_1
#include <caf/action.hpp>
#include <caf/detail/actor_system_access.hpp>
#include <caf/disposable.hpp>
#include <caf/scheduled_actor.hpp>
#else
#include <caf/scheduler/test_coordinator.hpp>
#endif

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <stdexcept>
#include <utility>

namespace stargate::testing {

#if STARGATE_CAF_1

/// As `caf::scheduler::test_coordinator` of CAF 0.17, which 1.x does not have any more.
class virtual_scheduler final : public caf::scheduler {
public:
  std::deque<caf::resumable*> jobs; ///< Each with a reference.

  void schedule(caf::resumable* what) override { jobs.push_back(what); }
  void delay(caf::resumable* what) override { schedule(what); }
  void start() override {}
  /// Those that CAF keeps for itself are asked to end before this, and end here.
  void stop() override {
    while (!jobs.empty())
      run_once();
  }
  void run_once() {
    auto* what = jobs.front();
    jobs.pop_front();
    if (what->resume(this, 1) == caf::resumable::resume_later)
      jobs.push_front(what);
    else
      intrusive_ptr_release(what);
  }
};

/// A clock that its owner sets.
class virtual_clock final : public caf::actor_clock {
public:
  time_point current_time{std::chrono::hours{1}}; ///< Not the epoch, which some take for "never".

  time_point now() const noexcept override { return current_time; }
  caf::disposable schedule(time_point when, caf::action what) override {
    timers_.emplace(when, what);
    return std::move(what).as_disposable();
  }
  /// Those that have not been taken back, by their times.
  const std::multimap<time_point, caf::action>& schedule() {
    std::erase_if(timers_, [](const auto& timer) { return timer.second.disposed(); });
    return timers_;
  }
  void trigger_expired_timeouts() {
    while (!schedule().empty() && timers_.begin()->first <= current_time) {
      auto first = timers_.extract(timers_.begin());
      first.mapped().run();
    }
  }
  void clear() {
    for (auto& [when, what] : std::exchange(timers_, {}))
      what.dispose();
  }

private:
  std::multimap<time_point, caf::action> timers_;
};

#endif

/// @par Threads the one that has made it
class virtual_system {
public:
  using time_point = caf::actor_clock::time_point;

  virtual_system() {
#if STARGATE_CAF_1
    system_ = std::make_unique<caf::actor_system>(
      config_,
      [](caf::actor_system& system, caf::actor_system_config&, void* self) {
        auto scheduler = std::make_unique<virtual_scheduler>();
        auto clock = std::make_unique<virtual_clock>();
        static_cast<virtual_system*>(self)->scheduler_ = scheduler.get();
        static_cast<virtual_system*>(self)->clock_ = clock.get();
        caf::detail::actor_system_access setter{system};
        setter.clock(std::move(clock));
        setter.scheduler(std::move(scheduler));
      },
      this);
#else
    config_.set("scheduler.policy", caf::atom("testing")); // the packaged CAF takes it as an atom only
    system_ = std::make_unique<caf::actor_system>(config_);
    scheduler_ = dynamic_cast<caf::scheduler::test_coordinator*>(&system_->scheduler());
    if (scheduler_ == nullptr)
      throw std::logic_error{"CAF did not take the deterministic scheduler"};
    clock_ = &scheduler_->clock();
#endif
  }
  virtual_system(const virtual_system&) = delete;
  virtual_system& operator=(const virtual_system&) = delete;
  ~virtual_system() {
#if STARGATE_CAF_1
    clock_->clear(); // what they hold may be actors, which the system would wait for
#endif
  }

  [[nodiscard]] caf::actor_system& actors() {
    return *system_;
  }

  // -- what could run

  [[nodiscard]] std::size_t waiting() const {
    return scheduler_->jobs.size();
  }
  /// Has one actor that could run handle one message. @pre `which < waiting()`
  void run_one(std::size_t which = 0) {
    auto& jobs = scheduler_->jobs;
    const auto chosen = jobs.begin() + static_cast<std::ptrdiff_t>(which);
    std::rotate(jobs.begin(), chosen, chosen + 1);
    scheduler_->run_once();
  }
  /// The same, of one that is chosen; false when it has nothing to do.
  bool run_only(const caf::actor& who) {
    const auto* wanted = dynamic_cast<caf::resumable*>(caf::actor_cast<caf::abstract_actor*>(who));
    const auto& jobs = scheduler_->jobs;
    const auto found = std::find(jobs.begin(), jobs.end(), wanted);
    if (found == jobs.end())
      return false;
    run_one(static_cast<std::size_t>(found - jobs.begin()));
    return true;
  }
  /// Runs everything that can run without time passing.
  void run() {
    while (waiting() != 0)
      run_one();
  }

  // -- time

  [[nodiscard]] time_point now() const {
    return clock_->now();
  }
  /// Makes it that late. What is due by then waits for `ring`.
  void set_time(time_point to) {
    clock_->current_time = to;
  }
  /// How many time-outs and delayed messages are under way.
  [[nodiscard]] std::size_t timers() const {
    return clock_->schedule().size();
  }
  /// When the next is due, if there is one.
  [[nodiscard]] std::optional<time_point> next_timer() const {
    const auto& all = clock_->schedule();
    return all.empty() ? std::nullopt : std::optional{all.begin()->first};
  }
  /// Has those happen that are due.
  void ring() {
    clock_->trigger_expired_timeouts();
  }

private:
  caf::actor_system_config config_;
#if STARGATE_CAF_1
  virtual_scheduler* scheduler_ = nullptr;
  virtual_clock* clock_ = nullptr;
#else
  caf::scheduler::test_coordinator* scheduler_ = nullptr;
  caf::detail::test_actor_clock* clock_ = nullptr;
#endif
  std::unique_ptr<caf::actor_system> system_;
};

} // namespace stargate::testing
