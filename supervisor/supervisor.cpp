// The supervisor actor.
//
// accepts  child_started start_child terminate_child restart_child delete_child start_dynamic_child
//          terminate_dynamic_child get_child_spec change_supervisor which_children count_children report_vitals;
//          down messages of children; exit messages
// sends    child_started to its parent; exit messages to its children
// dies of  an exit message, after its children; too many restarts; a child that cannot start at the beginning; the end
//          of significant children, where it shuts down by itself
//
// Whatever it does to its children, it does one operation at a time: a restart, a request or a child's end waits in
// a queue until the one before is done, since starting and stopping take several turns of the actor.
#include <stargate/supervisor.hpp>
#include <stargate/vitals.hpp>

#include "supervisor/child_list.hpp"
#include "supervisor/internal_messages.hpp"
#include "supervisor/live_children.hpp"
#include "supervisor/restart.hpp"

#include <algorithm>
#include <deque>
#include <functional>
#include <optional>
#include <ranges>
#include <utility>
#include <variant>

namespace stargate {

namespace {

using clock = std::chrono::steady_clock;
using internal::child;

struct supervisor_state {
  static inline const char* name = "stargate.supervisor";

  /// Is told how starting children went: the failure, and the child that failed.
  using started = std::function<void(const caf::error& failure, child* failed)>;
  using done = std::function<void()>;

  caf::stateful_actor<supervisor_state>* self = nullptr;
  supervisor_options options; ///< Without its children, which are in the list.
  caf::actor parent;
  std::shared_ptr<internal::live_children> live = std::make_shared<internal::live_children>();
  internal::child_list list;
  std::optional<child_spec> model; ///< The template of `simple_one_for_one`.
  std::uint64_t last_dynamic = 0;  ///< Numbers the children of the template.
  std::optional<internal::restart_log> log;
  std::uint64_t restarts = 0;

  // -- one operation at a time

  /// A request or a restart; or a child that has ended, by its actor, if it is still one.
  using operation = std::variant<std::function<void()>, caf::actor_addr>;
  std::deque<operation> queue;
  bool busy = false;
  bool running_queue = false;
  std::optional<caf::error> leaving; ///< Set once: it was asked to end, and will when it has done what came before.
  std::optional<caf::error> ending;  ///< Set once: the supervisor is on its way out, with this reason.

  void enqueue(operation op) {
    queue.push_back(std::move(op));
    run_queue();
  }

  void run_queue() {
    if (running_queue)
      return;
    running_queue = true;
    while (!busy && !queue.empty()) {
      auto op = std::move(queue.front());
      queue.pop_front();
      busy = true;
      if (const auto* ended = std::get_if<caf::actor_addr>(&op))
        on_end(*ended);
      else
        std::get<std::function<void()>>(op)();
    }
    running_queue = false;
  }

  /// Every operation ends here.
  void finish() {
    busy = false;
    run_queue();
  }

  // -- what an operation waits for

  struct step {
    std::uint64_t number = 0;
    done on_timeout;
  };
  std::optional<step> current;
  std::uint64_t last_step = 0;

  void begin_step(done on_timeout, std::optional<std::chrono::milliseconds> timeout) {
    current = step{++last_step, std::move(on_timeout)};
    if (timeout)
      send_later(self, *timeout, internal::step_timeout{last_step});
  }

  // -- children

  [[nodiscard]] bool is_simple() const { return options.strategy == strategy::simple_one_for_one; }

  void enter(child& c, child_state state) {
    c.state = state;
    c.since = now();
  }

  clock::time_point now() { return self->clock().now(); }

  void say(log_level level, const std::string& text) {
    if (options.log)
      options.log(level, options.name, text);
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
    if (is_simple() || c.spec.restart == restart::temporary)
      list.erase(c);
  }

  template <class Range>
  static std::vector<child*> pointers(Range&& range) {
    std::vector<child*> result;
    for (auto& c : range)
      result.push_back(&c);
    return result;
  }

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
    auto text = "child '" + c->spec.id + "' of " + options.name + " did not start: " + why;
    say(ending || leaving ? log_level::info : log_level::error, text);
    starting.children.clear();
    std::exchange(starting.then, nullptr)(make_error(errc::start_failed, std::move(text)), c);
  }

  /// Starts one child. Gives why it failed, if it did; if it has to report first, that is the current step.
  std::optional<std::string> start_one(child& c) {
    if (ending || (leaving && c.spec.start_timeout)) // who has to report first would hold up the stop
      return "the supervisor is stopping";
    caf::expected<caf::actor> made = make_error(errc::start_failed, "it was not called");
    try {
      made = c.spec.start(start_context{self->system(), caf::actor_cast<caf::actor>(self), c.argument});
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
    live->add(c.who, c.spec.type);
    monitor(self, c.who);
    if (!c.spec.start_timeout) {
      enter(c, child_state::running);
      return std::nullopt;
    }
    enter(c, child_state::starting);
    begin_step([this, &c] { kill_unstarted(c); }, c.spec.start_timeout);
    return std::nullopt;
  }

  void kill_unstarted(child& c) {
    stop_batch({&c}, true, [this, &c] {
      c.last_exit =
        make_error(errc::start_timeout, "it did not report within " + std::to_string(c.spec.start_timeout->count())
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
    const auto how = by_force ? shutdown::brutal_kill() : shutdown_of(asked.front()->spec);
    if (how.kills())
      return kill(std::move(asked));
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
          say(log_level::warning, "child '" + c->spec.id + "' did not stop in time: killing it");
        kill(std::move(late));
      },
      patience);
    for (const auto& who : actors)
      send_exit(who, make_error(exit_code::shutdown, "stopped by its supervisor"));
  }

  void kill(std::vector<child*> children) {
    std::vector<caf::actor> actors;
    for (const auto* c : children)
      actors.push_back(c->who);
    begin_step(
      [this, children = std::move(children)] {
        for (auto* c : children) {
          if (!c->awaited)
            continue;
          say(log_level::error,
              "child '" + c->spec.id + "' does not even react to being killed: it hangs, and is given up");
          forget_actor(*c, caf::exit_reason::kill);
        }
        stopping.left = 0;
        go_on_stopping();
      },
      options.kill_timeout);
    for (const auto& who : actors)
      send_exit(who, caf::exit_reason::kill);
  }

  void on_awaited_end(child& c, const caf::error& why) {
    if (!is_normal_exit(why) && why != caf::exit_reason::kill)
      say(log_level::warning, "child '" + c.spec.id + "' ended badly while it was stopped: " + describe(why));
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
      return finish(); // an operation has taken note of it already
    const auto why = *std::exchange(c->ended, std::nullopt);
    const auto id = c->spec.id;
    forget_actor(*c, why);
    if (ending)
      return finish();
    if (internal::is_restarted(c->spec.restart, why)) {
      say(log_level::warning, "child '" + id + "' ended: " + describe(why));
      return restart(*c);
    }
    say(log_level::info, "child '" + id + "' ended and is not restarted: " + describe(why));
    const bool significant = c->spec.significant;
    retire(*c);
    if (!internal::shuts_down(options.auto_shutdown, significant, another_significant_left()))
      return finish();
    say(log_level::info, options.name + " shuts down, since its significant child '" + id + "' has ended");
    end_with(make_error(exit_code::shutdown, options.name + " shut down when '" + id + "' had ended"));
  }

  [[nodiscard]] bool another_significant_left() const {
    return options.auto_shutdown == auto_shutdown::all_significant
           && std::any_of(list.begin(), list.end(),
                          [](const child& c) { return c.spec.significant && c.state != child_state::stopped; });
  }

  void restart(child& c) {
    if (!log->add(now()))
      return give_up(c);
    ++restarts;
    enter(c, child_state::restarting);
    const auto [first, last] = internal::affected(options.strategy, list.begin(), list.place_of(c), list.end());
    const auto touched = pointers(std::ranges::subrange(first, last));
    const bool alone = is_simple() || options.strategy == strategy::one_for_one;
    stop_all(touched, [this, touched, alone] {
      std::vector<child*> again;
      for (auto* x : touched) {
        if (!alone && x->spec.restart == restart::temporary) {
          list.erase(*x); // it was stopped with the others, and is not started again
          continue;
        }
        ++x->restarts;
        enter(*x, child_state::restarting);
        again.push_back(x);
      }
      start_all(again, [this, again](const caf::error&, child* failed) {
        if (failed != nullptr) {
          // Those behind it are not started now. It is tried again, in its turn, and that counts again.
          for (auto* x : again)
            if (x->state == child_state::restarting)
              enter(*x, child_state::stopped);
          if (!ending) {
            enter(*failed, child_state::restarting);
            send(self, caf::actor_cast<caf::actor>(self), internal::try_again{failed->spec.id});
          }
        }
        finish();
      });
    });
  }

  void try_again(const child_id& id) {
    auto* c = list.find(id);
    if (c == nullptr || c->state != child_state::restarting || ending)
      return finish(); // it was terminated before its turn came
    restart(*c);
  }

  void give_up(child& c) {
    const auto why = describe(c.last_exit);
    say(log_level::error, "more than " + std::to_string(options.intensity) + " restarts within "
                            + std::to_string(options.period.count()) + " s, the last of child '" + c.spec.id
                            + "' which ended with: " + why + "; giving up");
    if (options.on_give_up)
      options.on_give_up(c.last_exit);
    end_with(make_error(exit_code::shutdown,
                        options.name + " gave up: child '" + c.spec.id + "' ended again and again, last with: " + why));
  }

  /// Stops everything and ends. It takes the place of the operation that calls it.
  void end_with(caf::error reason) {
    ending = reason;
    stop_all(pointers(list), [this, reason = std::move(reason)] {
      // Whoever still waits for an answer gets one: every request sees that the supervisor is ending.
      for (auto& op : std::exchange(queue, {}))
        if (auto* request = std::get_if<std::function<void()>>(&op))
          (*request)();
      self->quit(reason);
    });
  }

  // -- requests

  template <class Answer>
  caf::response_promise perform(std::function<void(std::function<void(caf::expected<Answer>)>)> what) {
    auto promise = self->make_response_promise();
    enqueue([this, promise, what = std::move(what)]() mutable {
      if (ending) {
        promise.deliver(make_error(errc::stopping, options.name + " is stopping"));
        return finish();
      }
      what([this, promise](caf::expected<Answer> answer) mutable {
        if (answer)
          promise.deliver(std::move(*answer));
        else
          promise.deliver(std::move(answer.error()));
        finish();
      });
    });
    return promise;
  }

  caf::error refusal(const child& c) const {
    switch (c.state) {
      case child_state::stopped:
        return make_error(errc::child_present, "'" + c.spec.id + "' is a child of " + options.name + ", not running");
      case child_state::restarting:
        return make_error(errc::child_restarting, "'" + c.spec.id + "' of " + options.name + " is being restarted");
      default: return make_error(errc::child_running, "'" + c.spec.id + "' is a running child of " + options.name);
    }
  }
  caf::error unknown(const child_id& id) const {
    return make_error(errc::child_not_found, options.name + " has no child '" + id + "'");
  }
  caf::error dynamic_only() const {
    return make_error(errc::simple_one_for_one, options.name + " has children of its template only, without ids");
  }

  using answer_found = std::function<void(caf::expected<found_child>)>;

  /// Starts a child that was added for this; one that fails is not kept.
  void start_added(child& c, const answer_found& answer) {
    start_all({&c}, [this, &c, answer](const caf::error& failure, child*) {
      const auto who = c.who;
      if (failure || (!who && (is_simple() || c.spec.restart == restart::temporary)))
        list.erase(c);
      if (failure)
        return answer(failure);
      answer(found_child{who});
    });
  }

  caf::response_promise on_start_child(child_spec spec) {
    return perform<found_child>([this, spec = std::move(spec)](const answer_found& answer) {
      if (is_simple())
        return answer(dynamic_only());
      supervisor_options with = options;
      with.children = {spec};
      if (auto wrong = check(with))
        return answer(std::move(wrong));
      if (const auto* other = list.find(spec.id))
        return answer(other->who ? refusal(*other)
                                 : make_error(errc::child_present, "'" + spec.id + "' is a child of " + options.name
                                                                     + " already, not running"));
      start_added(list.add(spec, now()), answer);
    });
  }

  caf::response_promise on_start_dynamic(std::any argument) {
    return perform<found_child>([this, argument = std::move(argument)](const answer_found& answer) {
      if (!is_simple())
        return answer(
          make_error(errc::invalid_child_spec, options.name + " has no template: it is not simple_one_for_one"));
      auto spec = *model;
      spec.id += "#" + std::to_string(++last_dynamic);
      auto& c = list.add(std::move(spec), now());
      c.argument = argument;
      start_added(c, answer);
    });
  }

  caf::response_promise on_terminate_child(const child_id& id) {
    return perform<child_done>([this, id](auto answer) {
      if (is_simple())
        return answer(dynamic_only());
      auto* c = list.find(id);
      if (c == nullptr)
        return answer(unknown(id));
      terminate(*c, answer);
    });
  }

  caf::response_promise on_terminate_dynamic(const caf::actor& who) {
    return perform<child_done>([this, who](auto answer) {
      if (auto* c = is_simple() && who ? find_dynamic(who.address()) : nullptr)
        return terminate(*c, answer);
      if (is_simple() && has_ended(who))
        return answer(child_done{model->id});
      answer(make_error(errc::child_not_found, display_name(who) + " is no child of " + options.name));
    });
  }

  /// A child of the template by its actor; one that waits to be restarted by the actor that it was.
  child* find_dynamic(const caf::actor_addr& who) {
    if (auto* c = list.find(who))
      return c;
    const auto i = std::find_if(list.begin(), list.end(), [&](const child& c) {
      return c.state == child_state::restarting && c.last_actor == who;
    });
    return i == list.end() ? nullptr : &*i;
  }

  void terminate(child& c, const std::function<void(caf::expected<child_done>)>& answer) {
    stop_batch({&c}, false, [this, &c, answer] {
      const auto id = c.spec.id;
      retire(c); // also one that was to be restarted
      answer(child_done{id});
    });
  }

  caf::response_promise on_restart_child(const child_id& id) {
    return perform<found_child>([this, id](const answer_found& answer) {
      if (is_simple())
        return answer(dynamic_only());
      auto* c = list.find(id);
      if (c == nullptr)
        return answer(unknown(id));
      if (c->state != child_state::stopped)
        return answer(refusal(*c));
      start_all({c}, [c, answer](const caf::error& failure, child*) {
        if (failure)
          return answer(failure);
        answer(found_child{c->who});
      });
    });
  }

  caf::response_promise on_delete_child(const child_id& id) {
    return perform<child_done>([this, id](auto answer) {
      if (is_simple())
        return answer(dynamic_only());
      auto* c = list.find(id);
      if (c == nullptr)
        return answer(unknown(id));
      if (c->state != child_state::stopped)
        return answer(refusal(*c));
      list.erase(*c);
      answer(child_done{id});
    });
  }

  caf::response_promise on_get_spec(const child_id& id) {
    return perform<child_spec>([this, id](auto answer) {
      if (model && model->id == id)
        return answer(*model);
      const auto* c = is_simple() ? nullptr : list.find(id);
      if (c == nullptr)
        return answer(unknown(id));
      answer(c->spec);
    });
  }

  caf::response_promise on_change(supervisor_options to) {
    return perform<supervisor_changed>([this, to = std::move(to)](auto answer) mutable {
      to.name = options.name;
      if (auto wrong = check(to))
        return answer(std::move(wrong));
      if ((to.strategy == strategy::simple_one_for_one) != is_simple())
        return answer(make_error(errc::invalid_child_spec,
                                 options.name + " cannot change from or to simple_one_for_one while it runs"));
      if (is_simple())
        change_model(std::move(to.children.front()));
      else
        change_children(std::move(to.children));
      options.strategy = to.strategy;
      options.auto_shutdown = to.auto_shutdown;
      options.intensity = to.intensity;
      options.period = to.period;
      log->set_bounds(to.intensity, to.period);
      answer(supervisor_changed{});
    });
  }

  void change_model(child_spec to) {
    for (auto& c : list) {
      auto id = std::move(c.spec.id);
      c.spec = to;
      c.spec.id = std::move(id);
    }
    model = std::move(to);
  }

  void change_children(std::vector<child_spec> specs) {
    auto kept = pointers(list);
    for (auto& spec : specs) {
      if (auto* c = list.find(spec.id)) {
        std::erase(kept, c);
        c->spec = std::move(spec);
        list.move_to_end(*c);
      } else {
        list.add(std::move(spec), now());
      }
    }
    for (auto* c : kept)
      list.move_to_end(*c);
  }

  stargate::children snapshot() const {
    stargate::children result;
    result.restarts = restarts;
    result.list.reserve(list.size());
    for (const auto& c : list)
      result.list.push_back({c.spec.id, c.who, c.state, c.spec.type, c.restarts, c.last_exit, c.since});
    return result;
  }

  child_counts counts() const {
    child_counts result;
    for (const auto& c : list) {
      // OTP looks whether children are alive, but takes those of a template for it until it has seen them end.
      const bool active = is_simple() ? c.state != child_state::restarting : c.who && !has_ended(c.who);
      result.active += active ? 1 : 0;
      ++(c.spec.type == child_type::supervisor ? result.supervisors : result.workers);
    }
    result.specs = is_simple() ? 1 : list.size();
    return result;
  }

  // -- signals

  void on_down(const caf::actor_addr& who, const caf::error& why) {
    auto* c = list.find(who);
    if (c == nullptr || c->ended)
      return; // an earlier incarnation
    if (c->awaited)
      return on_awaited_end(*c, why);
    if (c->state == child_state::starting) {
      current.reset();
      forget_actor(*c, why);
      return starting_failed("it ended: " + describe(why));
    }
    c->ended = why;
    enqueue(who);
  }

  void on_started(const caf::actor& who) {
    auto* c = who ? list.find(who.address()) : nullptr;
    if (c == nullptr || c->state != child_state::starting)
      return;
    current.reset();
    enter(*c, child_state::running);
    ++starting.next;
    go_on_starting();
  }

  void on_timeout(std::uint64_t number) {
    if (!current || current->number != number)
      return;
    const auto s = *std::exchange(current, std::nullopt);
    s.on_timeout();
  }

  void on_exit(const caf::error& why) {
    if (!why || leaving || ending)
      return; // a normal exit of somebody is no reason
    leaving = why;
    // The exit message overtook what had come before it, which OTP would do first.
    send(self, caf::actor_cast<caf::actor>(self), internal::leave{});
    // A child that is about to start is not waited for; but it is asked to end, since it may have begun to work.
    if (current && starting.next < starting.children.size()) {
      auto& c = *starting.children[starting.next];
      if (c.state == child_state::starting) {
        current.reset();
        stop_batch({&c}, false, [this] { starting_failed("the supervisor is stopping"); });
      }
    }
  }

  void on_leave() {
    enqueue([this] {
      if (ending)
        return finish();
      end_with(*leaving);
    });
  }

  // -- the beginning

  void start_tree() {
    enqueue([this] {
      if (auto wrong = check(options))
        return end_with(std::move(wrong));
      auto specs = std::exchange(options.children, {});
      if (is_simple())
        model = std::move(specs.front());
      else
        for (auto& spec : specs)
          list.add(std::move(spec), now());
      start_all(pointers(list), [this](const caf::error& failure, child*) {
        if (failure)
          return end_with(leaving ? *leaving : make_error(exit_code::shutdown, describe(failure)));
        // Temporary children with nothing to run are gone already.
        for (auto* c : pointers(list))
          if (!c->who && c->spec.restart == restart::temporary)
            list.erase(*c);
        if (parent)
          send(self, parent, child_started{caf::actor_cast<caf::actor>(self)});
        finish();
      });
    });
  }

  caf::behavior make_behavior() {
    self->attach_functor([children = live] { children->end_all(); });
    signal_handlers signals;
    signals.down = [this](const caf::actor_addr& who, const caf::error& why) { on_down(who, why); };
    signals.exit = [this](const caf::actor_addr&, const caf::error& why) { on_exit(why); };
    send(self, caf::actor_cast<caf::actor>(self), internal::start_children{});
    return behave(
      self, std::move(signals), [this](internal::start_children) { start_tree(); },
      [this](const child_started& m) { on_started(m.who); },
      [this](const internal::step_timeout& m) { on_timeout(m.step); },
      [this](const internal::try_again& m) { enqueue([this, id = m.id] { try_again(id); }); },
      [this](internal::leave) { on_leave(); }, [this](start_child& m) { return on_start_child(std::move(m.spec)); },
      [this](const terminate_child& m) { return on_terminate_child(m.id); },
      [this](const restart_child& m) { return on_restart_child(m.id); },
      [this](const delete_child& m) { return on_delete_child(m.id); },
      [this](start_dynamic_child& m) { return on_start_dynamic(std::move(m.argument)); },
      [this](const terminate_dynamic_child& m) { return on_terminate_dynamic(m.who); },
      [this](const get_child_spec& m) { return on_get_spec(m.id); },
      [this](change_supervisor& m) { return on_change(std::move(m.to)); },
      [this](which_children) { return snapshot(); }, [this](count_children) { return counts(); },
      [this](report_vitals) { return vitals_of(self, queue.size()); });
  }
};

caf::behavior supervisor_actor(caf::stateful_actor<supervisor_state>* self, supervisor_options options,
                               const caf::actor& parent) {
  auto& state = state_of(self);
  state.self = self;
  state.options = std::move(options);
  state.parent = parent;
  state.log.emplace(state.options.intensity, state.options.period);
  if (!state.options.log)
    state.options.log = caf_log(self->system());
  return state.make_behavior();
}

} // namespace

caf::actor spawn_supervisor(caf::actor_system& system, supervisor_options options, caf::actor parent) {
  return system.spawn(supervisor_actor, std::move(options), std::move(parent));
}

child_spec supervisor_spec(child_id id, supervisor_options options, restart restart) {
  child_spec spec;
  spec.id = std::move(id);
  spec.start = [options = std::move(options)](const start_context& context) -> caf::expected<caf::actor> {
    return spawn_supervisor(context.system, options, context.supervisor);
  };
  spec.restart = restart;
  spec.type = child_type::supervisor;
  spec.start_timeout = std::chrono::minutes{10}; // each of its children bounds its own start
  return spec;
}

std::string_view name_of(child_state state) noexcept {
  switch (state) {
    case child_state::starting: return "starting";
    case child_state::running: return "running";
    case child_state::stopping: return "stopping";
    case child_state::restarting: return "restarting";
    case child_state::stopped: return "stopped";
  }
  return "stopped";
}

} // namespace stargate
