// The supervisor actor.
//
// accepts  child_started start_child terminate_child restart_child delete_child which_children count_children;
//          down messages of children; exit messages
// sends    child_started to its parent; exit messages to its children
// dies of  an exit message, after its children; too many restarts; a child that cannot start at the beginning
//
// Whatever it does to its children, it does one operation at a time: a restart, a request or a child's end waits in
// a queue until the one before is done, since starting and stopping take several turns of the actor.
#include <stargate/supervisor.hpp>

#include "supervisor/internal_messages.hpp"
#include "supervisor/live_children.hpp"
#include "supervisor/restart.hpp"

#include <algorithm>
#include <deque>
#include <functional>
#include <optional>
#include <set>
#include <utility>
#include <variant>

namespace stargate {

namespace {

using clock = std::chrono::steady_clock;

struct child {
  child_spec spec;
  caf::actor who;
  child_state state = child_state::stopped;
  std::uint64_t restarts = 0;
  caf::error last_exit;
  clock::time_point since;
};

struct supervisor_state {
  static inline const char* name = "stargate.supervisor";

  /// Is told how starting a list of children went: the failure, and the child that failed.
  using started = std::function<void(caf::error failure, const child_id& failed)>;
  using done = std::function<void()>;

  caf::stateful_actor<supervisor_state>* self = nullptr;
  supervisor_options options;
  caf::actor parent;
  std::shared_ptr<internal::live_children> live = std::make_shared<internal::live_children>();
  std::vector<child> list;
  std::optional<internal::restart_log> log;
  std::uint64_t restarts = 0;

  // -- one operation at a time

  struct ended_child {
    caf::actor_addr who;
    caf::error why;
  };
  using operation = std::variant<std::function<void()>, ended_child>;
  std::deque<operation> queue;
  bool busy = false;
  bool running_queue = false;
  bool leave_after_operation = false;
  std::optional<caf::error> ending; ///< Set once: the supervisor is on its way out, with this reason.

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
      if (auto* ended = std::get_if<ended_child>(&op))
        on_end(*ended);
      else
        std::get<std::function<void()>>(op)();
    }
    running_queue = false;
  }

  /// Every operation ends here.
  void finish() {
    if (std::exchange(leave_after_operation, false))
      return end_with(*ending);
    busy = false;
    run_queue();
  }

  // -- the step that an operation waits for

  struct step {
    std::uint64_t number = 0;
    caf::actor_addr who;
    std::function<void(const caf::error&)> on_down;
    std::function<void()> on_started;
    std::function<void()> on_timeout;
  };
  std::optional<step> current;
  std::uint64_t last_step = 0;

  void await_step(step s, std::optional<std::chrono::milliseconds> timeout) {
    s.number = ++last_step;
    if (timeout)
      send_later(self, *timeout, internal::step_timeout{s.number});
    current = std::move(s);
  }

  // -- children

  child* find(const child_id& id) {
    const auto i = std::find_if(list.begin(), list.end(), [&](const child& c) { return c.spec.id == id; });
    return i == list.end() ? nullptr : &*i;
  }

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
    c.who = nullptr;
    c.last_exit = why;
    enter(c, child_state::stopped);
  }

  std::vector<child_id> ids(internal::child_range range) const {
    std::vector<child_id> result;
    for (auto i = range.first; i < range.last && i < list.size(); ++i)
      result.push_back(list[i].spec.id);
    return result;
  }
  std::vector<child_id> all_ids() const { return ids({0, list.size()}); }

  // -- starting

  void start_all(std::vector<child_id> names, std::size_t next, started then) {
    if (next == names.size())
      return then({}, {});
    auto* c = find(names[next]);
    if (c == nullptr || c->who) // a temporary child that went while others were stopped
      return start_all(std::move(names), next + 1, std::move(then));
    const auto id = names[next];
    start_one(id, [this, names = std::move(names), next, then = std::move(then)](const caf::error& failure) mutable {
      if (failure)
        return then(failure, names[next]);
      start_all(std::move(names), next + 1, std::move(then));
    });
  }

  void start_one(const child_id& id, std::function<void(caf::error)> then) {
    auto& c = *find(id);
    auto failed = [this, id](std::string why) {
      auto text = "child '" + id + "' of " + options.name + " did not start: " + why;
      say(log_level::error, text);
      return make_error(errc::start_failed, std::move(text));
    };
    if (ending)
      return then(failed("the supervisor is stopping"));
    caf::expected<caf::actor> made = make_error(errc::start_failed, "it was not called");
    try {
      made = c.spec.start(start_context{self->system(), caf::actor_cast<caf::actor>(self)});
    } catch (const std::exception& e) {
      made = make_error(errc::start_failed, e.what());
    } catch (...) {
      made = make_error(errc::start_failed, "its start function threw what is not a std::exception");
    }
    if (!made || !*made) {
      c.last_exit = made ? make_error(errc::start_failed, "its start function gave no actor") : made.error();
      enter(c, child_state::stopped);
      return then(failed(describe(c.last_exit)));
    }
    c.who = *made;
    live->add(c.who, c.spec.type);
    monitor(self, c.who);
    if (!c.spec.start_timeout) {
      enter(c, child_state::running);
      return then({});
    }
    enter(c, child_state::starting);
    step s;
    s.who = c.who.address();
    s.on_started = [this, id, then] {
      enter(*find(id), child_state::running);
      then({});
    };
    s.on_down = [this, id, then, failed](const caf::error& why) {
      forget_actor(*find(id), why);
      then(failed("it ended: " + describe(why)));
    };
    s.on_timeout = [this, id, then, failed] {
      kill(id, [this, id, then, failed] {
        auto error = make_error(errc::start_timeout, "it did not report within "
                                                       + std::to_string(find(id)->spec.start_timeout->count())
                                                       + " ms that it had started");
        find(id)->last_exit = error;
        then(failed(describe(error)));
      });
    };
    await_step(std::move(s), c.spec.start_timeout);
  }

  // -- stopping

  /// Stops children, the last of `names` first.
  void stop_all(std::vector<child_id> names, done then) {
    if (names.empty())
      return then();
    const auto id = std::move(names.back());
    names.pop_back();
    stop_one(id, [this, names = std::move(names), then = std::move(then)]() mutable {
      stop_all(std::move(names), std::move(then));
    });
  }

  void stop_one(const child_id& id, done then) {
    auto* c = find(id);
    if (c == nullptr || !c->who)
      return then();
    const auto address = c->who.address();
    // Has it ended already, and its end waits in the queue?
    const auto ended = std::find_if(queue.begin(), queue.end(), [&](const operation& op) {
      const auto* e = std::get_if<ended_child>(&op);
      return e != nullptr && e->who == address;
    });
    if (ended != queue.end()) {
      forget_actor(*c, std::get<ended_child>(*ended).why);
      queue.erase(ended);
      return then();
    }
    const auto how = c->spec.shutdown.value_or(
      c->spec.type == child_type::supervisor ? shutdown::infinity() : shutdown{std::chrono::milliseconds{5'000}});
    if (how.kills())
      return kill(id, std::move(then));
    enter(*c, child_state::stopping);
    step s;
    s.who = address;
    s.on_down = [this, id, then](const caf::error& why) {
      if (!is_normal_exit(why))
        say(log_level::warning, "child '" + id + "' ended badly while it was stopped: " + describe(why));
      forget_actor(*find(id), why);
      then();
    };
    s.on_timeout = [this, id, then] {
      say(log_level::warning, "child '" + id + "' did not stop in time: killing it");
      kill(id, then);
    };
    const auto who = c->who;
    await_step(std::move(s), how.waits_for_ever() ? std::nullopt : std::optional{how.timeout()});
    send_exit(who, make_error(exit_code::shutdown, "stopped by its supervisor"));
  }

  void kill(const child_id& id, done then) {
    auto& c = *find(id);
    enter(c, child_state::stopping);
    step s;
    s.who = c.who.address();
    s.on_down = [this, id, then](const caf::error& why) {
      forget_actor(*find(id), why);
      then();
    };
    s.on_timeout = [this, id, then] {
      say(log_level::error, "child '" + id + "' does not even react to being killed: it hangs, and is given up");
      forget_actor(*find(id), caf::exit_reason::kill);
      then();
    };
    const auto who = c.who;
    await_step(std::move(s), options.kill_timeout);
    send_exit(who, caf::exit_reason::kill);
  }

  // -- the end of a child, and restarting

  void on_end(const ended_child& ended) {
    const auto i =
      std::find_if(list.begin(), list.end(), [&](const child& c) { return c.who && c.who.address() == ended.who; });
    if (i == list.end())
      return finish(); // an earlier incarnation
    forget_actor(*i, ended.why);
    const auto id = i->spec.id;
    if (ending)
      return finish();
    if (internal::is_restarted(i->spec.restart, ended.why)) {
      say(log_level::warning, "child '" + id + "' ended: " + describe(ended.why));
      enter(*i, child_state::restarting);
      return restart(id);
    }
    say(log_level::info, "child '" + id + "' ended and is not restarted: " + describe(ended.why));
    if (i->spec.restart == restart::temporary)
      list.erase(i);
    finish();
  }

  void restart(const child_id& id) {
    auto* c = find(id);
    if (c == nullptr || c->state != child_state::restarting || ending)
      return finish(); // it was terminated or deleted before its turn came
    if (!log->add(now()))
      return give_up(id);
    ++restarts;
    const auto place = static_cast<std::size_t>(c - list.data());
    auto names = ids(internal::affected(options.strategy, place, list.size()));
    stop_all(names, [this, names, id]() mutable {
      // Temporary children that were stopped are not started again.
      std::erase_if(list, [&](const child& x) {
        return x.spec.restart == restart::temporary && !x.who
               && std::find(names.begin(), names.end(), x.spec.id) != names.end();
      });
      for (const auto& n : names)
        if (auto* x = find(n)) {
          ++x->restarts;
          enter(*x, child_state::restarting);
        }
      start_all(std::move(names), 0, [this](const caf::error& failure, const child_id& failed) {
        if (failure && !ending) {
          // What could not be started is tried again, in its turn, and counts again.
          if (auto* x = find(failed))
            enter(*x, child_state::restarting);
          queue.emplace_back([this, failed] { restart(failed); });
        }
        finish();
      });
    });
  }

  void give_up(const child_id& id) {
    say(log_level::error, "more than " + std::to_string(options.intensity) + " restarts within "
                            + std::to_string(options.period.count()) + " s, the last of child '" + id
                            + "' which ended with: " + describe(find(id)->last_exit) + "; giving up");
    end_with(
      make_error(exit_code::shutdown, options.name + " gave up: child '" + id
                                        + "' ended again and again, last with: " + describe(find(id)->last_exit)));
  }

  /// Stops everything and ends. It takes the place of the operation that calls it.
  void end_with(caf::error reason) {
    ending = reason;
    stop_all(all_ids(), [this, reason = std::move(reason)] {
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

  caf::response_promise on_start_child(child_spec spec) {
    return perform<found_child>([this, spec = std::move(spec)](auto answer) {
      if (spec.id.empty() || !spec.start)
        return answer(make_error(errc::invalid_child_spec, "a child needs an id and a start function"));
      if (const auto* other = find(spec.id))
        return answer(refusal(*other));
      list.push_back({spec, {}, child_state::stopped, 0, {}, now()});
      start_one(spec.id, [this, id = spec.id, answer](const caf::error& failure) {
        auto* c = find(id);
        if (!failure)
          return answer(found_child{c->who});
        list.erase(list.begin() + (c - list.data()));
        answer(failure);
      });
    });
  }

  caf::response_promise on_terminate_child(const child_id& id) {
    return perform<child_done>([this, id](auto answer) {
      if (find(id) == nullptr)
        return answer(unknown(id));
      stop_one(id, [this, id, answer] {
        auto* c = find(id);
        enter(*c, child_state::stopped); // also one that was to be restarted
        if (c->spec.restart == restart::temporary)
          list.erase(list.begin() + (c - list.data()));
        answer(child_done{id});
      });
    });
  }

  caf::response_promise on_restart_child(const child_id& id) {
    return perform<found_child>([this, id](auto answer) {
      const auto* c = find(id);
      if (c == nullptr)
        return answer(unknown(id));
      if (c->state != child_state::stopped)
        return answer(refusal(*c));
      start_one(id, [this, id, answer](const caf::error& failure) {
        if (failure)
          return answer(failure);
        answer(found_child{find(id)->who});
      });
    });
  }

  caf::response_promise on_delete_child(const child_id& id) {
    return perform<child_done>([this, id](auto answer) {
      auto* c = find(id);
      if (c == nullptr)
        return answer(unknown(id));
      if (c->state != child_state::stopped)
        return answer(refusal(*c));
      list.erase(list.begin() + (c - list.data()));
      answer(child_done{id});
    });
  }

  stargate::children snapshot() const {
    stargate::children result;
    result.restarts = restarts;
    for (const auto& c : list)
      result.list.push_back({c.spec.id, c.who, c.state, c.spec.type, c.restarts, c.last_exit, c.since});
    return result;
  }

  child_counts counts() const {
    child_counts result;
    for (const auto& c : list) {
      ++result.specs;
      result.active += c.who ? 1 : 0;
      ++(c.spec.type == child_type::supervisor ? result.supervisors : result.workers);
    }
    return result;
  }

  // -- signals

  void on_down(const caf::actor_addr& who, const caf::error& why) {
    if (current && current->who == who) {
      const auto s = std::exchange(current, std::nullopt);
      return s->on_down(why);
    }
    enqueue(ended_child{who, why});
  }

  void on_started(const caf::actor& who) {
    if (!current || !current->on_started || current->who != who.address())
      return;
    const auto s = std::exchange(current, std::nullopt);
    s->on_started();
  }

  void on_timeout(std::uint64_t number) {
    if (!current || current->number != number)
      return;
    const auto s = std::exchange(current, std::nullopt);
    s->on_timeout();
  }

  void on_exit(const caf::error& why) {
    if (!why || ending)
      return; // OTP, too, lets a normal exit of somebody pass
    ending = why;
    // A child that is about to start is not waited for.
    if (current && current->on_started) {
      const auto s = std::exchange(current, std::nullopt);
      s->on_timeout();
    }
    if (!busy)
      return enqueue([this, why] { end_with(why); });
    leave_after_operation = true;
  }

  // -- the beginning

  caf::error fault() const {
    std::set<child_id> seen;
    for (const auto& spec : options.children) {
      if (spec.id.empty() || !spec.start)
        return make_error(errc::invalid_child_spec, "a child of " + options.name + " needs an id and a start function");
      if (!seen.insert(spec.id).second)
        return make_error(errc::invalid_child_spec,
                          "'" + spec.id + "' stands twice among the children of " + options.name);
    }
    return {};
  }

  void start_tree() {
    enqueue([this] {
      if (auto wrong = fault())
        return end_with(std::move(wrong));
      for (auto& spec : options.children)
        list.push_back({std::move(spec), {}, child_state::stopped, 0, {}, now()});
      options.children.clear();
      start_all(all_ids(), 0, [this](const caf::error& failure, const child_id&) {
        if (failure && !ending)
          return end_with(make_error(exit_code::shutdown, describe(failure)));
        if (!ending && parent)
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
      [this](start_child& m) { return on_start_child(std::move(m.spec)); },
      [this](const terminate_child& m) { return on_terminate_child(m.id); },
      [this](const restart_child& m) { return on_restart_child(m.id); },
      [this](const delete_child& m) { return on_delete_child(m.id); }, [this](which_children) { return snapshot(); },
      [this](count_children) { return counts(); });
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
