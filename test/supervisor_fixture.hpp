/// @file
/// A supervisor whose children a test makes fail, and what it sees of them.
#pragma once

#include "test/deterministic.hpp"

#include <stargate/supervisor.hpp>

#include <catch2/catch.hpp>

#include <any>
#include <chrono>
#include <map>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace stargate::test {

using namespace std::chrono_literals;
using std::string;
using std::vector;

/// Says what a child is to do when it is asked to end.
enum class manner { obeys, ignores_exit };

struct supervisor_fixture : deterministic {
  vector<string> trace;             ///< What was started and what ended, in order.
  std::map<string, caf::actor> now; ///< The living children.
  std::map<string, int> failures;   ///< How many starts of a child fail from now on.
  caf::actor sup;
  caf::error end; ///< Why the supervisor ended.

  child_spec spec(const string& id, restart when = restart::permanent, manner how = manner::obeys) {
    child_spec s;
    s.id = id;
    s.restart = when;
    s.start = [this, id, how](const start_context& context) -> caf::expected<caf::actor> {
      if (failures[id] > 0) {
        --failures[id];
        trace.push_back("fail " + id);
        return make_error(errc::start_failed, "no luck");
      }
      trace.push_back("start " + id);
      auto who = context.system.spawn([how](caf::event_based_actor* self) -> caf::behavior {
        compat::signal_handlers signals;
        if (how == manner::ignores_exit)
          signals.exit = [](const caf::actor_addr&, const caf::error&) {};
        return compat::behave(
          self, signals, [self](const caf::error& why) { self->quit(why); },
          [](const string& text) { throw std::runtime_error{text}; });
      });
      who->attach_functor([this, id] { trace.push_back("end " + id); });
      now[id] = who;
      return who;
    };
    return s;
  }

  void begin(supervisor_options o) {
    o.name = "sup";
    sup = spawn_supervisor(system(), std::move(o), me());
    self()->monitor(sup);
    run();
  }
  void begin(strategy how, vector<child_spec> children, std::uint32_t intensity = 10) {
    begin({.strategy = how, .intensity = intensity, .children = std::move(children)});
  }

  bool started() { return take<child_started>().has_value(); }
  /// Ends a child for a reason.
  void end_child(const string& id, caf::error why) {
    trace.clear();
    compat::post(now.at(id), std::move(why));
    run();
  }
  void kill_child(const string& id) {
    trace.clear();
    compat::send_exit(now.at(id), caf::exit_reason::kill);
    run();
  }
  bool has_ended() {
    if (auto down = take<caf::down_msg>())
      end = down->reason;
    return compat::has_ended(sup);
  }
  vector<child_info> all() { return std::move(answer_of<children>(sup, which_children{})->list); }
  vector<string> alive() {
    vector<string> result;
    for (const auto& c : all())
      if (c.state == child_state::running)
        result.push_back(c.id);
    return result;
  }
  child_info info(const string& id) {
    for (auto& c : all())
      if (c.id == id)
        return c;
    FAIL("no child " + id);
    return {};
  }
  void stop() {
    trace.clear();
    compat::send_exit(sup, caf::exit_reason::user_shutdown);
    run();
  }
  ~supervisor_fixture() {
    compat::send_exit(sup, caf::exit_reason::kill);
    run();
    now.clear();
  }
};

inline const caf::error crash = make_error(errc::handler_failed, "boom");
inline const caf::error shut = make_error(exit_code::shutdown, "done");
using list = vector<string>;

template <class T>
errc code(const caf::expected<T>& e) {
  return e ? errc::none : code_of(e.error());
}

struct dynamic_fixture : supervisor_fixture {
  child_spec model(restart when = restart::permanent, manner how = manner::obeys) {
    auto s = spec("model", when, how);
    s.start = [this, how](const start_context& c) {
      return spec(std::any_cast<string>(c.argument), restart::permanent, how).start(c);
    };
    return s;
  }
  caf::actor add(const string& argument) {
    auto answer = answer_of<found_child>(sup, start_dynamic_child{argument});
    return answer ? answer->who : caf::actor{};
  }
};

} // namespace stargate::test
