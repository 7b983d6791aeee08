// The registry actor.
//
// accepts  register_name unregister_name update_value put_meta whereis_name await_name select_names keys_of
//          report_vitals; down messages of holders
// answers  registered, found, names, or an error
// sends    name_registered name_unregistered to its listeners
// dies of  an exit message; its names go with it
#include <stargate/init.hpp>
#include <stargate/registry.hpp>
#include <stargate/vitals.hpp>

#include "registry/internal_messages.hpp"
#include "registry/name_table.hpp"

#include <algorithm>
#include <deque>
#include <set>
#include <unordered_set>

namespace stargate {

using namespace compat;

namespace {

using internal::give_up_waiting;

struct registry_state {
  static inline const char* name = "stargate.registry";

  /// A `register_name` that waits for the holder to go, or an `await_name` that waits for one to come.
  struct waiting {
    std::uint64_t ticket;
    std::string name;
    caf::actor claimant; ///< Empty for those who wait for the name to appear.
    std::any value;      ///< With which the claimant registers.
    caf::response_promise answer;
  };

  caf::event_based_actor* const self;
  const std::shared_ptr<internal::name_table> table;
  const std::vector<caf::actor> listeners;
  const bool keeps_names;
  std::deque<waiting> waitlist;
  std::unordered_set<caf::actor_addr> monitored;
  std::uint64_t last_ticket = 0;

  registry_state(caf::event_based_actor* of, std::shared_ptr<internal::name_table> names, registry_options options)
    : self{of},
      table{std::move(names)},
      listeners{std::move(options.listeners)},
      keeps_names{options.keeps_names} {}
  registry_state(const registry_state&) = delete;
  registry_state& operator=(const registry_state&) = delete;
  ~registry_state() {
    if (!keeps_names)
      table->clear();
    // As CAF answers what is still in a mailbox: nobody waits in vain for a registry that was killed.
    for (auto& w : waitlist)
      w.answer.deliver(caf::make_error(caf::sec::request_receiver_down));
  }

  caf::error held(const std::string& key, const caf::actor& holder) const {
    return make_error(errc::already_registered, "'" + key + "' in " + table->registry() + " is held by "
                                                  + display_name(holder) + ": a name has one living holder");
  }

  static caf::error gone(const std::string& key) {
    return make_error(errc::start_failed, "the actor that was to be '" + key + "' has ended");
  }

  void watch(const caf::actor& who) {
    if (monitored.insert(who.address()).second)
      monitor(self, who);
  }

  void wait(waiting who, std::chrono::milliseconds timeout) {
    who.ticket = ++last_ticket;
    waitlist.push_back(std::move(who));
    send_later(self, timeout, give_up_waiting{last_ticket});
  }

  void tell_registered(const std::string& key, const caf::actor& who, const std::any& value) {
    for (const auto& listener : listeners)
      send(self, listener, name_registered{table->registry(), {key, who, value}});
  }
  void tell_unregistered(const std::string& key, const caf::actor_addr& who) {
    for (const auto& listener : listeners)
      send(self, listener, name_unregistered{table->registry(), key, who});
  }

  void enter(const std::string& key, const caf::actor& who, const std::any& value, caf::response_promise& answer) {
    watch(who);
    tell_registered(key, who, value);
    answer.deliver(registered{key});
    for (auto& w : waitlist)
      if (w.name == key && !w.claimant)
        w.answer.deliver(found{who});
    std::erase_if(waitlist, [&](const waiting& w) { return w.name == key && !w.claimant; });
  }

  /// Gives the name to `who`, or gives the living actor that has it.
  caf::actor take(const std::string& key, const caf::actor& who, const std::any& value) {
    auto inserted = table->insert(key, who, value);
    if (inserted.replaced)
      tell_unregistered(key, inserted.replaced.address());
    return inserted.holder;
  }

  void on_register(register_name& m, caf::response_promise answer) {
    if (has_ended(m.who))
      return answer.deliver(gone(m.name));
    const auto holder = take(m.name, m.who, m.value);
    if (!holder)
      return enter(m.name, m.who, m.value, answer);
    if (holder == m.who)
      return answer.deliver(registered{m.name});
    if (m.wait <= std::chrono::milliseconds::zero())
      return answer.deliver(held(m.name, holder));
    watch(holder);
    watch(m.who);
    wait({0, std::move(m.name), std::move(m.who), std::move(m.value), std::move(answer)}, m.wait);
  }

  /// The first who waits for a name that became free, and still lives, has it.
  void freed(const std::string& key) {
    for (auto i = waitlist.begin(); i != waitlist.end(); ++i) {
      if (i->name != key || !i->claimant || has_ended(i->claimant))
        continue;
      if (!take(key, i->claimant, i->value)) {
        auto claim = std::move(*i);
        waitlist.erase(i);
        enter(key, claim.claimant, claim.value, claim.answer);
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
    std::erase_if(waitlist, [&](waiting& w) {
      if (!w.claimant || w.claimant.address() != who)
        return false;
      w.answer.deliver(gone(w.name));
      return true;
    });
    for (const auto& key : table->erase_all(who)) {
      tell_unregistered(key, who);
      freed(key);
    }
  }

  caf::result<registered> on_unregister(const unregister_name& m) {
    bool held_by_the_living = false;
    std::set<caf::actor_addr> told; // as Elixir does, once also of who held it several times
    for (const auto& who : table->erase(m.name, m.who)) {
      held_by_the_living = held_by_the_living || !has_ended(who);
      if (told.insert(who.address()).second)
        tell_unregistered(m.name, who.address());
    }
    freed(m.name);
    if (!held_by_the_living)
      return unknown(m.name);
    return registered{m.name};
  }

  caf::error unknown(const std::string& key) const {
    return make_error(errc::not_registered, "nobody holds '" + key + "' in " + table->registry());
  }

  /// Takes over from a predecessor: who lives is watched, who has ended is forgotten.
  void take_over() {
    for (const auto& who : table->holders())
      watch(who); // of one that has ended this one is told at once
  }

  caf::behavior make_behavior() {
    take_over();
    signal_handlers signals;
    signals.down = [this](const caf::actor_addr& who, const caf::error&) { on_down(who); };
    return behave(
      self, std::move(signals),
      [this](register_name& m) {
        auto answer = self->make_response_promise();
        on_register(m, answer);
        return answer;
      },
      [this](const unregister_name& m) { return on_unregister(m); },
      [this](const update_value& m) -> caf::result<registered> {
        if (!table->update(m.name, m.who, m.value))
          return make_error(errc::not_registered,
                            display_name(m.who) + " does not hold '" + m.name + "' in " + table->registry());
        return registered{m.name};
      },
      [this](put_meta& m) {
        table->set_meta(m.key, std::move(m.value));
        return registered{std::move(m.key)};
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
          wait({0, std::move(m.name), {}, {}, answer}, m.timeout);
        return answer;
      },
      [this](const select_names& m) { return table->select(m.pattern); },
      [this](const keys_of& m) { return table->held_by(m.who); },
      [this](const give_up_waiting& m) { on_give_up(m.ticket); },
      [this](report_vitals) { return vitals_of(self, waitlist.size()); });
  }
};

} // namespace

registry registry::spawn(caf::actor_system& system, std::string name, registry_options options) {
  auto table = std::make_shared<internal::name_table>(std::move(name), options.keys);
  return spawn_on(system, std::move(table), std::move(options));
}

registry registry::succeed(caf::actor_system& system, const registry& predecessor, std::string name,
                           registry_options options) {
  options.keeps_names = true;
  if (!predecessor)
    return spawn(system, std::move(name), std::move(options));
  return spawn_on(system, predecessor.table_, std::move(options));
}

registry registry::spawn_on(caf::actor_system& system, std::shared_ptr<internal::name_table> table,
                            registry_options options) {
  init_supervision(); // as for a supervisor
  registry result;
  result.actor_ = spawn_state<registry_state>(system, table, std::move(options));
  result.table_ = std::move(table);
  return result;
}

void registry::clear() const {
  if (table_)
    table_->clear();
}

const std::string& registry::name() const {
  static const std::string none;
  return table_ ? table_->registry() : none;
}

caf::actor registry::whereis(std::string_view name) const {
  return table_ ? table_->whereis(name) : caf::actor{};
}

std::vector<registration> registry::lookup(std::string_view name) const {
  return table_ ? table_->lookup(name) : std::vector<registration>{};
}

std::vector<std::string> registry::keys(const caf::actor& who) const {
  std::vector<std::string> result;
  if (table_)
    for (auto& entry : table_->held_by(who).entries)
      result.push_back(std::move(entry.name));
  return result;
}

std::vector<std::any> registry::values(std::string_view name, const caf::actor& who) const {
  std::vector<std::any> result;
  for (auto& entry : lookup(name))
    if (entry.who == who)
      result.push_back(std::move(entry.value));
  return result;
}

std::size_t registry::count() const {
  return table_ ? table_->count() : 0;
}

std::any registry::meta(std::string_view key) const {
  return table_ ? table_->meta(key) : std::any{};
}

names registry::select(const name_pattern& pattern) const {
  return table_ ? table_->select(pattern) : names{};
}

} // namespace stargate
