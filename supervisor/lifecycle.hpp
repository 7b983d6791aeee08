/// @file
/// How a supervisor starts, stops and restarts its children. Each takes several turns of the actor, since children may
/// have to report that they have started, and take their time to end.
#pragma once

#include <stargate/error.hpp>
#include <stargate/log.hpp>
#include <stargate/supervisor.hpp>

#include "supervisor/child_list.hpp"
#include "supervisor/internal_messages.hpp"
#include "supervisor/live_children.hpp"
#include "supervisor/operation_queue.hpp"
#include "supervisor/restart.hpp"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <ratio>
#include <string>
#include <utility>
#include <vector>

namespace stargate::internal {

/// What is set and kept, and what is done to children. An operation ends with `operations.finish()`.
struct lifecycle {
  lifecycle(caf::event_based_actor* self_, std::shared_ptr<const supervisor_options> options_)
    : self{self_},
      options{std::move(options_)},
      log{options->intensity, options->period} {}

  /// Is told how starting children went: the failure, and the child that failed.
  using started = std::function<void(const caf::error& failure, child* failed)>;
  using done = std::function<void()>;

  caf::event_based_actor* const self;
  std::shared_ptr<const supervisor_options> options; ///< Without its children, which are in the list. Never null.
  std::shared_ptr<live_children> live = std::make_shared<live_children>();
  child_list list;
  std::shared_ptr<const child_spec> model; ///< The template of `simple_one_for_one`, else null.
  std::uint64_t last_dynamic = 0;          ///< Numbers the children of the template.
  restart_log log;
  std::uint64_t restarts = 0;
  std::uint64_t last_wait = 0; ///< Numbers the restarts, for those that wait.

  // -- one operation at a time

  operation_queue operations;
  std::optional<caf::error> leaving; ///< Set once: it was asked to end, and will when it has done what came before.
  std::optional<caf::error> ending;  ///< Set once: the supervisor is on its way out, with this reason.

  // -- what an operation waits for

  struct step {
    done on_timeout;
    std::optional<std::chrono::steady_clock::time_point> due;
  };
  std::optional<step> current;
  std::uint64_t last_alarm = 0;
  std::optional<std::chrono::steady_clock::time_point> alarm; ///< When the next `step_timeout` comes.

  void begin_step(done on_timeout, std::optional<std::chrono::milliseconds> timeout) {
    current = step{std::move(on_timeout), {}};
    if (timeout)
      set_alarm(*(current->due = now() + *timeout));
  }

  /// One at a time: CAF keeps each until its time, and steps are many and short. Those of many supervisors come together
  /// on a coarse grid, which wakes a thread once for all; the few whose step still goes on have another one for the rest.
  void set_alarm(std::chrono::steady_clock::time_point due) {
    using grid = std::chrono::duration<std::int64_t, std::ratio<1, 4>>;
    const auto at = now();
    if (const auto before = std::chrono::steady_clock::time_point{std::chrono::floor<grid>(due.time_since_epoch())};
        before > at)
      due = before;
    if (alarm && *alarm <= due)
      return;
    alarm = due;
    send_later(self, due - at, step_timeout{++last_alarm});
  }

  /// Ends the step whose time is up, if it is.
  void on_alarm(const step_timeout& m) {
    if (m.alarm != last_alarm)
      return; // an earlier one was set after it
    alarm.reset();
    if (!current || !current->due)
      return;
    if (*current->due > now())
      return set_alarm(*current->due);
    const auto s = *std::exchange(current, std::nullopt);
    s.on_timeout();
  }

  // -- children

  [[nodiscard]] bool is_simple() const { return options->strategy == strategy::simple_one_for_one; }

  void enter(child& c, child_state state) {
    c.state = state;
    c.since = now();
  }

  std::chrono::steady_clock::time_point now() { return self->clock().now(); }

  void say(log_level level, const std::string& text) {
    if (options->log)
      options->log(level, options->name, text);
    else
      caf_log(self->system())(level, options->name, text);
  }

  void report(supervisor_report::event what, const child& c, const caf::error& why = {}) {
    if (options->on_report)
      options->on_report({what, options->name, c.spec->id, why, c.restarts});
  }

  void now_runs(child& c) {
    enter(c, child_state::running);
    c.began = c.since;
    report(supervisor_report::event::started, c);
  }

  /// The child is gone: as far as this supervisor is concerned it has no actor any more.
  void forget_actor(child& c, const caf::error& why) {
    live->remove(c.who.address());
    c.last_actor = c.who.address();
    list.assign(c, {});
    c.ended.reset();
    c.awaited = false;
    c.last_exit = why;
    enter(c, child_state::stopped);
  }

  /// What is left of a child that is not started again by itself. @par Source OTP's `del_child`.
  void retire(child& c) {
    enter(c, child_state::stopped);
    if (is_simple() || c.spec->restart == restart::temporary)
      list.erase(c);
  }

  static std::vector<child*> pointers(child_list::iterator first, child_list::iterator last) {
    std::vector<child*> result;
    for (; first != last; ++first)
      result.push_back(&*first);
    return result;
  }
  std::vector<child*> all_children() { return pointers(list.begin(), list.end()); }

  // -- starting

  struct {
    std::vector<child*> children;
    std::size_t next = 0;
    started then;
  } starting;

  /// Starts children, the first of `children` first, and stops at the first that fails.
  void start_all(std::vector<child*> children, started then) {
    starting = {std::move(children), 0, std::move(then)};
    go_on_starting();
  }

  void go_on_starting() {
    while (starting.next < starting.children.size()) {
      auto& c = *starting.children[starting.next];
      const auto failure = start_one(c);
      if (current)
        return; // it has to report first
      if (failure)
        return starting_failed(*failure);
      ++starting.next;
    }
    starting.children.clear();
    std::exchange(starting.then, nullptr)({}, nullptr);
  }

  void starting_failed(const std::string& why) {
    auto* c = starting.children[starting.next];
    auto text = "child '" + c->spec->id + "' of " + options->name + " did not start: " + why;
    say(ending || leaving ? log_level::info : log_level::error, text);
    auto failure = make_error(errc::start_failed, std::move(text));
    if (!ending && !leaving)
      report(supervisor_report::event::start_error, *c, failure);
    starting.children.clear();
    std::exchange(starting.then, nullptr)(failure, c);
  }

  /// Starts one child. Gives why it failed, if it did; if it has to report first, that is the current step.
  std::optional<std::string> start_one(child& c) {
    if (ending || (leaving && c.spec->start_timeout)) // who has to report first would hold up the stop
      return "the supervisor is stopping";
    c.began.reset();
    caf::expected<caf::actor> made = make_error(errc::start_failed, "it was not called");
    try {
      made = c.spec->start(start_context{self->system(), caf::actor_cast<caf::actor>(self), c.argument});
    } catch (const std::exception& e) {
      made = make_error(errc::start_failed, e.what());
    } catch (...) {
      made = make_error(errc::start_failed, "its start function threw what is not a std::exception");
    }
    enter(c, child_state::stopped);
    if (!made) {
      c.last_exit = made.error();
      return describe(c.last_exit);
    }
    if (!*made)
      return std::nullopt; // nothing to run: OTP's `ignore`
    list.assign(c, *made);
    live->add(c.who, c.spec->type);
    monitor(self, c.who);
    if (!c.spec->start_timeout) {
      now_runs(c);
      return std::nullopt;
    }
    enter(c, child_state::starting);
    begin_step([this, &c] { kill_unstarted(c); }, c.spec->start_timeout);
    return std::nullopt;
  }

  void kill_unstarted(child& c) {
    stop_batch({&c}, true, [this, &c] {
      c.last_exit =
        make_error(errc::start_timeout, "it did not report within " + std::to_string(c.spec->start_timeout->count())
                                          + " ms that it had started");
      starting_failed(describe(c.last_exit));
    });
  }

  // -- stopping

  struct {
    std::vector<std::vector<child*>> batches; ///< The last one is next.
    std::size_t left = 0;                     ///< Of the batch in hand.
    done then;
  } stopping;

  /// Stops children one after the other, the last of `children` first.
  void stop_all(const std::vector<child*>& children, done then) {
    stopping.batches.clear();
    if (is_simple())
      stopping.batches.push_back(children); // all at once, as OTP does
    else
      for (auto* c : children)
        stopping.batches.push_back({c});
    stopping.then = std::move(then);
    go_on_stopping();
  }

  void go_on_stopping() {
    while (!stopping.batches.empty()) {
      const auto batch = std::move(stopping.batches.back());
      stopping.batches.pop_back();
      ask_to_stop(batch, false);
      if (stopping.left > 0)
        return;
    }
    std::exchange(stopping.then, nullptr)();
  }

  void stop_batch(const std::vector<child*>& batch, bool by_force, done then) {
    stopping.batches.clear();
    stopping.then = std::move(then);
    ask_to_stop(batch, by_force);
    if (stopping.left == 0)
      go_on_stopping();
  }

  static shutdown shutdown_of(const child_spec& spec) {
    if (spec.shutdown)
      return *spec.shutdown;
    return spec.type == child_type::supervisor ? shutdown::infinity() : shutdown{std::chrono::milliseconds{5'000}};
  }

  void ask_to_stop(const std::vector<child*>& batch, bool by_force) {
    std::vector<child*> asked;
    for (auto* c : batch) {
      if (c->ended)
        forget_actor(*c, *std::exchange(c->ended, std::nullopt)); // and its entry in the queue finds nothing
      if (!c->who)
        continue;
      c->awaited = true;
      enter(*c, child_state::stopping);
      asked.push_back(c);
    }
    stopping.left = asked.size();
    if (asked.empty())
      return;
    const auto how = by_force ? shutdown::brutal_kill() : shutdown_of(*asked.front()->spec);
    if (how.kills())
      return kill(std::move(asked), false);
    std::optional<std::chrono::milliseconds> patience;
    if (!how.waits_for_ever())
      patience.emplace(how.timeout());
    std::vector<caf::actor> actors;
    for (const auto* c : asked)
      actors.push_back(c->who);
    begin_step(
      [this, asked = std::move(asked)] {
        auto late = asked;
        std::erase_if(late, [](const child* c) { return !c->awaited; });
        for (const auto* c : late)
          say(log_level::warning, "child '" + c->spec->id + "' did not stop in time: killing it");
        kill(std::move(late), true);
      },
      patience);
    for (const auto& who : actors)
      send_exit(who, make_error(exit_code::shutdown, "stopped by its supervisor"));
  }

  void kill(std::vector<child*> children, bool late) {
    std::vector<caf::actor> actors;
    for (const auto* c : children) {
      actors.push_back(c->who);
      if (late)
        report(supervisor_report::event::shutdown_error, *c, caf::exit_reason::kill);
    }
    begin_step(
      [this, children = std::move(children)] {
        for (auto* c : children) {
          if (!c->awaited)
            continue;
          say(log_level::error,
              "child '" + c->spec->id + "' does not even react to being killed: it hangs, and is given up");
          forget_actor(*c, caf::exit_reason::kill);
        }
        stopping.left = 0;
        go_on_stopping();
      },
      options->kill_timeout);
    for (const auto& who : actors)
      send_exit(who, caf::exit_reason::kill);
  }

  void on_awaited_end(child& c, const caf::error& why) {
    if (!is_normal_exit(why) && why != caf::exit_reason::kill) {
      say(log_level::warning, "child '" + c.spec->id + "' ended badly while it was stopped: " + describe(why));
      report(supervisor_report::event::shutdown_error, c, why);
    }
    forget_actor(c, why);
    if (--stopping.left > 0)
      return;
    current.reset();
    go_on_stopping();
  }

  // -- the end of a child, and restarting

  void on_end(const caf::actor_addr& who) {
    auto* c = list.find(who);
    if (c == nullptr || !c->ended)
      return operations.finish(); // an operation has taken note of it already
    const auto why = *std::exchange(c->ended, std::nullopt);
    const auto id = c->spec->id;
    forget_actor(*c, why);
    if (ending)
      return operations.finish();
    if (is_restarted(c->spec->restart, why) || !is_normal_exit(why))
      report(supervisor_report::event::child_terminated, *c, why);
    if (is_restarted(c->spec->restart, why)) {
      say(log_level::warning, "child '" + id + "' ended: " + describe(why));
      return restart(*c);
    }
    say(log_level::info, "child '" + id + "' ended and is not restarted: " + describe(why));
    const bool significant = c->spec->significant;
    retire(*c);
    if (!shuts_down(options->auto_shutdown, significant, another_significant_left()))
      return operations.finish();
    say(log_level::info, options->name + " shuts down, since its significant child '" + id + "' has ended");
    end_with(make_error(exit_code::shutdown, options->name + " shut down when '" + id + "' had ended"));
  }

  [[nodiscard]] bool another_significant_left() const {
    return options->auto_shutdown == auto_shutdown::all_significant
           && std::any_of(list.begin(), list.end(),
                          [](const child& c) { return c.spec->significant && c.state != child_state::stopped; });
  }

  void restart(child& c) {
    if (!log.add(now()))
      return give_up(c);
    ++restarts;
    enter(c, child_state::restarting);
    const auto [first, last] = affected(options->strategy, list.begin(), list.place_of(c), list.end());
    const auto touched = pointers(first, last);
    const bool alone = is_simple() || options->strategy == strategy::one_for_one;
    auto wait = std::chrono::milliseconds::zero();
    if (c.spec->backoff)
      wait = c.waits.next(*c.spec->backoff, c.began ? now() - *c.began : std::chrono::steady_clock::duration::zero());
    stop_all(touched, [this, touched, alone, wait] {
      ++last_wait;
      std::vector<child*> again;
      for (auto* x : touched) {
        if (!alone && x->spec->restart == restart::temporary) {
          list.erase(*x); // it was stopped with the others, and is not started again
          continue;
        }
        ++x->restarts;
        enter(*x, child_state::restarting);
        x->wait = last_wait;
        again.push_back(x);
      }
      if (wait.count() == 0)
        return start_again(again);
      send_later(self, wait, backoff_over{last_wait});
      operations.finish();
    });
  }

  void start_again(const std::vector<child*>& again) {
    start_all(again, [this, again](const caf::error&, child* failed) {
      if (failed != nullptr) {
        // Those behind it are not started now. It is tried again, in its turn, and that counts again.
        for (auto* x : again)
          if (x->state == child_state::restarting)
            enter(*x, child_state::stopped);
        if (!ending) {
          enter(*failed, child_state::restarting);
          send(self, caf::actor_cast<caf::actor>(self), internal::try_again{failed->spec->id});
        }
      }
      operations.finish();
    });
  }

  void on_try_again(const child_id& id) {
    auto* c = list.find(id);
    if (c == nullptr || c->state != child_state::restarting || ending)
      return operations.finish(); // it was terminated before its turn came
    restart(*c);
  }

  /// Starts those that still wait: others were terminated meanwhile, or started again with another child.
  void on_backoff_over(std::uint64_t wait) {
    if (ending)
      return operations.finish();
    auto again = all_children();
    std::erase_if(again, [&](const child* x) { return x->state != child_state::restarting || x->wait != wait; });
    start_again(again);
  }

  void give_up(child& c) {
    const auto why = describe(c.last_exit);
    say(log_level::error, "more than " + std::to_string(options->intensity) + " restarts within "
                            + std::to_string(options->period.count()) + " s, the last of child '" + c.spec->id
                            + "' which ended with: " + why + "; giving up");
    report(supervisor_report::event::gave_up, c, c.last_exit);
    end_with(make_error(exit_code::shutdown, options->name + " gave up: child '" + c.spec->id
                                               + "' ended again and again, last with: " + why));
  }

  /// Stops everything and ends. It takes the place of the operation that calls it.
  void end_with(caf::error reason) {
    ending = reason;
    stop_all(all_children(), [this, reason = std::move(reason)] {
      // Whoever still waits for an answer gets one: every request sees that the supervisor is ending.
      operations.run_all();
      self->quit(reason);
    });
  }
};

} // namespace stargate::internal
