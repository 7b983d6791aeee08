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
#include <stargate/init.hpp>
#include <stargate/supervisor.hpp>
#include <stargate/vitals.hpp>

#include "supervisor/internal_messages.hpp"
#include "supervisor/lifecycle.hpp"

#include <algorithm>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace stargate {

using namespace compat;

namespace {

using internal::child;

/// What a supervisor begins with, shared with whoever may start it again: thousands of them are alike.
struct prepared {
  std::shared_ptr<const supervisor_options> settings; ///< Without children.
  std::vector<std::shared_ptr<const child_spec>> children;
  caf::error wrong; ///< With either.

  explicit prepared(supervisor_options of) : wrong{check(of)} {
    for (auto& spec : std::exchange(of.children, {}))
      children.push_back(std::make_shared<const child_spec>(std::move(spec)));
    settings = std::make_shared<const supervisor_options>(std::move(of));
  }
};

struct supervisor_state : internal::lifecycle {
  static inline const char* name = "stargate.supervisor";
  const caf::actor parent;

  std::shared_ptr<const prepared> beginning; ///< Until its children are in the list.

  supervisor_state(caf::event_based_actor* of, std::shared_ptr<const prepared> with, caf::actor parent_)
    : lifecycle{of, with->settings},
      parent{std::move(parent_)},
      beginning{std::move(with)} {}

  // -- requests

  template <class Answer>
  caf::response_promise perform(std::function<void(std::function<void(caf::expected<Answer>)>)> what) {
    auto promise = self->make_response_promise();
    operations.add([this, promise, what = std::move(what)]() mutable {
      if (ending) {
        promise.deliver(make_error(errc::stopping, options->name + " is stopping"));
        return operations.finish();
      }
      what([this, promise](caf::expected<Answer> answer) mutable {
        fulfil(promise, std::move(answer));
        operations.finish();
      });
    });
    return promise;
  }

  caf::error refusal(const child& c) const {
    switch (c.state) {
      case child_state::stopped:
        return make_error(errc::child_present, "'" + c.spec->id + "' is a child of " + options->name + ", not running");
      case child_state::restarting:
        return make_error(errc::child_restarting, "'" + c.spec->id + "' of " + options->name + " is being restarted");
      default: return make_error(errc::child_running, "'" + c.spec->id + "' is a running child of " + options->name);
    }
  }
  caf::error unknown(const child_id& id) const {
    return make_error(errc::child_not_found, options->name + " has no child '" + id + "'");
  }
  caf::error dynamic_only() const {
    return make_error(errc::simple_one_for_one, options->name + " has children of its template only, without ids");
  }

  using answer_found = std::function<void(caf::expected<found_child>)>;

  /// Starts a child that was added for this; one that fails is not kept.
  void start_added(child& c, const answer_found& answer) {
    start_all({&c}, [this, &c, answer](const caf::error& failure, child*) {
      const auto who = c.who;
      if (failure || (!who && (is_simple() || c.spec->restart == restart::temporary)))
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
      auto with = *options;
      with.children = {spec};
      if (auto wrong = check(with))
        return answer(std::move(wrong));
      if (const auto* other = list.find(spec.id))
        return answer(other->who ? refusal(*other)
                                 : make_error(errc::child_present, "'" + spec.id + "' is a child of " + options->name
                                                                     + " already, not running"));
      start_added(list.add(std::make_shared<const child_spec>(spec), now()), answer);
    });
  }

  caf::response_promise on_start_dynamic(std::any argument) {
    return perform<found_child>([this, argument = std::move(argument)](const answer_found& answer) {
      if (!is_simple())
        return answer(
          make_error(errc::invalid_child_spec, options->name + " has no template: it is not simple_one_for_one"));
      if (options->max_children && list.size() >= *options->max_children)
        return answer(make_error(errc::max_children, options->name + " has " + std::to_string(list.size())
                                                       + " children, which is as many as it may"));
      auto spec = *model;
      spec.id += "#" + std::to_string(++last_dynamic);
      auto& c = list.add(std::make_shared<const child_spec>(std::move(spec)), now());
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
      answer(make_error(errc::child_not_found, display_name(who) + " is no child of " + options->name));
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
      const auto id = c.spec->id;
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
      answer(*c->spec);
    });
  }

  caf::response_promise on_change(supervisor_options to) {
    return perform<supervisor_changed>([this, to = std::move(to)](auto answer) mutable {
      to.name = options->name;
      if (auto wrong = check(to))
        return answer(std::move(wrong));
      if ((to.strategy == strategy::simple_one_for_one) != is_simple())
        return answer(make_error(errc::invalid_child_spec,
                                 options->name + " cannot change from or to simple_one_for_one while it runs"));
      if (is_simple())
        change_model(std::move(to.children.front()));
      else
        change_children(std::move(to.children));
      auto changed = *options;
      changed.strategy = to.strategy;
      changed.auto_shutdown = to.auto_shutdown;
      changed.intensity = to.intensity;
      changed.period = to.period;
      changed.max_children = to.max_children;
      options = std::make_shared<const supervisor_options>(std::move(changed));
      log.set_bounds(to.intensity, to.period);
      answer(supervisor_changed{});
    });
  }

  void change_model(child_spec to) {
    for (auto& c : list) {
      auto spec = std::make_shared<child_spec>(to);
      spec->id = c.spec->id;
      list.change_spec(c, std::move(spec));
    }
    model = std::make_shared<const child_spec>(std::move(to));
  }

  void change_children(std::vector<child_spec> specs) {
    auto kept = all_children();
    for (auto& to : specs) {
      auto spec = std::make_shared<const child_spec>(std::move(to));
      if (auto* c = list.find(spec->id)) {
        std::erase(kept, c);
        list.change_spec(*c, std::move(spec));
        list.move_to_end(*c);
      } else {
        list.add(std::move(spec), now());
      }
    }
    for (auto* c : kept)
      list.move_to_end(*c);
  }

  caf::response_promise on_which_children(bool in_turn) {
    if (in_turn)
      return perform<stargate::children>([this](auto answer) { answer(snapshot()); });
    auto promise = self->make_response_promise();
    promise.deliver(snapshot());
    return promise;
  }

  stargate::children snapshot() const {
    stargate::children result;
    result.restarts = restarts;
    result.list.reserve(list.size());
    for (const auto& c : list)
      result.list.push_back({c.spec->id, c.who, c.state, c.spec->type, c.restarts, c.last_exit, c.since});
    return result;
  }

  child_counts counts() const {
    child_counts result;
    for (const auto& c : list) {
      // OTP looks whether children are alive, but takes those of a template for it until it has seen them end.
      const bool active = is_simple() ? c.state != child_state::restarting : c.who && !has_ended(c.who);
      result.active += active ? 1 : 0;
      ++(c.spec->type == child_type::supervisor ? result.supervisors : result.workers);
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
    operations.add([this, who] { on_end(who); });
  }

  void on_started(const caf::actor& who) {
    auto* c = who ? list.find(who.address()) : nullptr;
    if (c == nullptr || c->state != child_state::starting)
      return;
    current.reset();
    now_runs(*c);
    ++starting.next;
    go_on_starting();
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
    operations.add([this] {
      if (ending)
        return operations.finish();
      end_with(*leaving);
    });
  }

  // -- the beginning

  void start_tree() {
    const auto with = std::exchange(beginning, nullptr);
    if (with->wrong)
      return end_with(with->wrong);
    if (is_simple())
      model = with->children.front();
    else
      for (const auto& spec : with->children)
        list.add(spec, now());
    start_all(all_children(), [this](const caf::error& failure, child*) {
      if (failure)
        return end_with(leaving ? *leaving : make_error(exit_code::shutdown, describe(failure)));
      // Temporary children with nothing to run are gone already.
      for (auto* c : all_children())
        if (!c->who && c->spec->restart == restart::temporary)
          list.erase(*c);
      if (parent)
        send(self, parent, child_started{caf::actor_cast<caf::actor>(self)});
      operations.finish();
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
      [this](const child_started& m) { on_started(m.who); }, [this](const internal::step_timeout& m) { on_alarm(m); },
      [this](const internal::try_again& m) { operations.add([this, id = m.id] { on_try_again(id); }); },
      [this](const internal::backoff_over& m) { operations.add([this, m] { on_backoff_over(m.wait); }); },
      [this](internal::leave) { on_leave(); }, [this](start_child& m) { return on_start_child(std::move(m.spec)); },
      [this](const terminate_child& m) { return on_terminate_child(m.id); },
      [this](const restart_child& m) { return on_restart_child(m.id); },
      [this](const delete_child& m) { return on_delete_child(m.id); },
      [this](start_dynamic_child& m) { return on_start_dynamic(std::move(m.argument)); },
      [this](const terminate_dynamic_child& m) { return on_terminate_dynamic(m.who); },
      [this](const get_child_spec& m) { return on_get_spec(m.id); },
      [this](change_supervisor& m) { return on_change(std::move(m.to)); },
      [this](const which_children& m) { return on_which_children(m.in_turn); },
      [this](count_children) { return counts(); },
      [this](report_vitals) { return vitals_of(self, operations.size()); });
  }
};

caf::actor spawn_prepared(caf::actor_system& system, std::shared_ptr<const prepared> with, caf::actor parent) {
  return spawn_state<supervisor_state>(system, std::move(with), std::move(parent));
}

} // namespace

caf::actor spawn_supervisor(caf::actor_system& system, supervisor_options options, caf::actor parent) {
  init_supervision(); // it was done before `main`, in a file that a static library leaves out where nobody asks for it
  return spawn_prepared(system, std::make_shared<const prepared>(std::move(options)), std::move(parent));
}

child_spec supervisor_spec(child_id id, supervisor_options options, restart restart) {
  child_spec spec;
  spec.id = std::move(id);
  spec.start = [with = std::make_shared<const prepared>(std::move(options))](
                 const start_context& context) -> caf::expected<caf::actor> {
    return spawn_prepared(context.system, with, context.supervisor);
  };
  spec.restart = restart;
  spec.type = child_type::supervisor;
  spec.start_timeout = std::chrono::minutes{10}; // each of its children bounds its own start
  return spec;
}

std::string_view name_of(supervisor_report::event what) noexcept {
  switch (what) {
    case supervisor_report::event::started: return "started";
    case supervisor_report::event::start_error: return "start error";
    case supervisor_report::event::child_terminated: return "child terminated";
    case supervisor_report::event::shutdown_error: return "shutdown error";
    case supervisor_report::event::gave_up: return "gave up";
  }
  return "started";
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
