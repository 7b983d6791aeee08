// The registry actor.
//
// accepts  register_name unregister_name whereis_name await_name select_names keys_of; down messages of holders
// answers  registered, found, names, or an error
// dies of  an exit message; its names go with it
#include <stargate/registry.hpp>

#include "registry/internal_messages.hpp"
#include "registry/name_table.hpp"

#include <algorithm>
#include <deque>
#include <unordered_set>

namespace stargate {

namespace {

using internal::give_up_waiting;

struct registry_state {
  static inline const char* name = "stargate.registry";

  /// A `register_name` that waits for the holder to go, or an `await_name` that waits for one to come.
  struct waiting {
    std::uint64_t ticket;
    std::string name;
    caf::actor claimant; ///< Empty for those who wait for the name to appear.
    caf::response_promise answer;
  };

  caf::stateful_actor<registry_state>* self = nullptr;
  std::shared_ptr<internal::name_table> table;
  std::deque<waiting> waitlist;
  std::unordered_set<caf::actor_addr> monitored;
  std::uint64_t last_ticket = 0;

  ~registry_state() {
    if (table)
      table->clear();
  }

  caf::error held(const std::string& key, const caf::actor& holder) const {
    return make_error(errc::already_registered, "'" + key + "' in " + table->registry() + " is held by "
                                                  + display_name(holder) + ": a name has one living holder");
  }

  void watch(const caf::actor& who) {
    if (monitored.insert(who.address()).second)
      monitor(self, who);
  }

  void wait(std::string key, caf::actor claimant, std::chrono::milliseconds timeout, caf::response_promise answer) {
    waitlist.push_back({++last_ticket, std::move(key), std::move(claimant), std::move(answer)});
    send_later(self, timeout, give_up_waiting{last_ticket});
  }

  void enter(const std::string& key, const caf::actor& who, caf::response_promise& answer) {
    watch(who);
    answer.deliver(registered{key});
    for (auto& w : waitlist)
      if (w.name == key && !w.claimant)
        w.answer.deliver(found{who});
    std::erase_if(waitlist, [&](const waiting& w) { return w.name == key && !w.claimant; });
  }

  void on_register(register_name& m, caf::response_promise answer) {
    if (has_ended(m.who))
      return answer.deliver(make_error(errc::start_failed, "the actor that was to be '" + m.name + "' has ended"));
    const auto holder = table->insert(m.name, m.who);
    if (!holder)
      return enter(m.name, m.who, answer);
    if (holder == m.who)
      return answer.deliver(registered{m.name});
    if (m.wait <= std::chrono::milliseconds::zero())
      return answer.deliver(held(m.name, holder));
    watch(holder);
    watch(m.who);
    wait(std::move(m.name), std::move(m.who), m.wait, std::move(answer));
  }

  /// The first who waits for a name that became free, and still lives, has it.
  void freed(const std::string& key) {
    for (auto i = waitlist.begin(); i != waitlist.end(); ++i) {
      if (i->name != key || !i->claimant || has_ended(i->claimant))
        continue;
      if (!table->insert(key, i->claimant)) {
        auto claim = std::move(*i);
        waitlist.erase(i);
        enter(key, claim.claimant, claim.answer);
      }
      return;
    }
  }

  void on_give_up(std::uint64_t ticket) {
    const auto i = std::find_if(waitlist.begin(), waitlist.end(), [=](const waiting& w) { return w.ticket == ticket; });
    if (i == waitlist.end())
      return;
    auto w = std::move(*i);
    waitlist.erase(i);
    if (!w.claimant)
      return w.answer.deliver(
        make_error(errc::timed_out, "nobody registered '" + w.name + "' in " + table->registry() + " in time"));
    const auto holder = table->whereis(w.name);
    w.answer.deliver(holder ? held(w.name, holder)
                            : make_error(errc::timed_out, "'" + w.name + "' did not become free in time"));
  }

  void on_down(const caf::actor_addr& who) {
    monitored.erase(who);
    std::erase_if(waitlist, [&](const waiting& w) { return w.claimant && w.claimant.address() == who; });
    for (const auto& key : table->erase_all(who))
      freed(key);
  }

  caf::error unknown(const std::string& key) const {
    return make_error(errc::not_registered, "nobody holds '" + key + "' in " + table->registry());
  }

  caf::behavior make_behavior() {
    signal_handlers signals;
    signals.down = [this](const caf::actor_addr& who, const caf::error&) { on_down(who); };
    return behave(
      self, std::move(signals),
      [this](register_name& m) {
        auto answer = self->make_response_promise();
        on_register(m, answer);
        return answer;
      },
      [this](const unregister_name& m) -> caf::result<registered> {
        const bool erased = table->erase(m.name);
        freed(m.name);
        if (!erased)
          return unknown(m.name);
        return registered{m.name};
      },
      [this](const whereis_name& m) -> caf::result<found> {
        if (auto who = table->whereis(m.name))
          return found{std::move(who)};
        return unknown(m.name);
      },
      [this](await_name& m) {
        auto answer = self->make_response_promise();
        if (auto who = table->whereis(m.name))
          answer.deliver(found{std::move(who)});
        else
          wait(std::move(m.name), {}, m.timeout, answer);
        return answer;
      },
      [this](const select_names& m) { return table->select(m.pattern); },
      [this](const keys_of& m) { return table->held_by(m.who); },
      [this](const give_up_waiting& m) { on_give_up(m.ticket); });
  }
};

caf::behavior registry_actor(caf::stateful_actor<registry_state>* self,
                             const std::shared_ptr<internal::name_table>& table) {
  auto& state = state_of(self);
  state.self = self;
  state.table = table;
  return state.make_behavior();
}

} // namespace

registry registry::spawn(caf::actor_system& system, std::string name) {
  auto table = std::make_shared<internal::name_table>(std::move(name));
  registry result;
  result.actor_ = system.spawn(registry_actor, table);
  result.table_ = std::move(table);
  return result;
}

const std::string& registry::name() const {
  static const std::string none;
  return table_ ? table_->registry() : none;
}

caf::actor registry::whereis(std::string_view name) const {
  return table_ ? table_->whereis(name) : caf::actor{};
}

names registry::select(const name_pattern& pattern) const {
  return table_ ? table_->select(pattern) : names{};
}

} // namespace stargate
