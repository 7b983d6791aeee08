// The reconciler: it brings the children of the supervisor of all topics to what the plan says.
//
// accepts  reconcile, answered with reconciled; report_vitals
// sends    which_children terminate_child delete_child start_child to the supervisor of topics; child_started to its own
// dies of  an exit message: with the supervisor of topics its own supervisor restarts it, too
//
// There is one truth, the plan. Whoever changes it asks for a reconciliation and waits; one that was asked for while
// another was under way begins when that is done, and is the answer to all who asked meanwhile. It begins with one, so
// that what was under way when it was restarted is finished.
#include "actors/tree/reconciler.hpp"

#include "actors/shared/join.hpp"
#include "actors/shared/messages.hpp"
#include "actors/tree/wiring.hpp"

#include <stargate/supervisor.hpp>
#include <stargate/vitals.hpp>

#include <chrono>
#include <memory>
#include <set>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace stargate::internal {

namespace {

constexpr std::chrono::seconds retry_interval{1}; // of what could not be started
constexpr std::chrono::minutes patience{10};      // each of the actors that start and stop bounds its own time

struct reconciler_state {
  static inline const char* name = "stargate.reconciler";

  caf::event_based_actor* const self;
  const tree_context_ptr tree;
  const caf::actor supervisor;
  caf::actor topics;
  bool busy = false;
  bool again = false;
  bool will_retry = false;
  std::vector<caf::response_promise> asked; ///< Before the reconciliation that is under way began,
  std::vector<caf::response_promise> later; ///< and after.
  reconciled outcome;
  std::size_t open = 0; ///< Requests that are not answered.

  reconciler_state(caf::event_based_actor* of, tree_context_ptr in, caf::actor below)
    : self{of},
      tree{std::move(in)},
      supervisor{std::move(below)} {}

  void begin_pass() {
    if (std::exchange(busy, true)) {
      again = true;
      return;
    }
    asked = std::exchange(later, {});
    outcome = {};
    look();
  }

  /// In its turn: behind what a former reconciler asked for, so that all of that is done, or has failed.
  void look() {
    request(self, topics, patience, which_children{.in_turn = true})
      .then([this](const children& running) { bring_to(tree->plan.now(), running); },
            [this](const caf::error& why) {
              if (!is_gone(why))
                look(); // a child of the application's own may take as long as it likes to end
            });
  }

  void bring_to(const plan::items& wanted, const children& running) {
    std::set<std::string> right, there;
    const auto sockets = std::make_shared<std::set<std::string>>();
    for (const auto& item : wanted)
      for (const auto& k : item->keys)
        sockets->insert(k.socket());
    std::unordered_map<std::string_view, std::shared_ptr<const plan::item>> by_id;
    for (const auto& item : wanted)
      by_id.emplace(item->id, item);
    const auto in_place = [&](const std::string& id) {
      const auto i = by_id.find(id);
      return i == by_id.end() ? nullptr : i->second;
    };
    for (const auto& child : running.list) {
      there.insert(child.id);
      const auto is = tree->roster.find(child.id);
      const auto item = in_place(child.id);
      if (item && is && is->version == item->version) {
        right.insert(child.id);
        tell_start(item);
      } else {
        end_child(child.id, is, sockets);
      }
    }
    for (const auto& was : tree->roster.all()) {
      if (there.contains(was->id))
        continue;
      const auto item = in_place(was->id);
      if (!item || item->version != was->version)
        forget(was, *sockets); // whose end nobody has heard of
      else if (has_had_its_time(*tree, item)) {
        right.insert(was->id);
        tree->plan.remove({item});
        forget(was, *sockets);
      }
    }
    for (const auto& item : wanted)
      if (!right.contains(item->id))
        start_item(item);
    if (open == 0)
      finish();
  }

  /// @param was what it is, or null when nothing was started in its place
  void end_child(const child_id& id, const std::shared_ptr<const plan::item>& was,
                 const std::shared_ptr<const std::set<std::string>>& still_wanted) {
    ask(terminate_child{id}, [](const caf::error&) {});
    ask(delete_child{id}, [=, this](const caf::error& failure) {
      if (was && (!failure || code_of(failure) == errc::child_not_found)) // a temporary one goes when it ends
        forget(was, *still_wanted);
    });
  }

  /// It has ended, for good.
  void forget(const std::shared_ptr<const plan::item>& was, const std::set<std::string>& still_wanted) {
    const bool is_known = !tree->roster.is_news(was);
    tree->roster.leave(was);
    for (const auto& socket : was->sockets()) {
      if (still_wanted.contains(socket))
        continue;
      tree->board.forget(socket);
      tree->metrics.forget(socket);
      if (is_known)
        tree->events.tell({.what = event::kind::removed, .key = socket});
    }
  }

  /// Once, whoever has started it.
  void tell_start(const std::shared_ptr<const plan::item>& item) {
    if (!tree->roster.is_news(item))
      return;
    for (const auto& socket : item->sockets())
      tree->events.tell({.what = item->is_drained ? event::kind::drained : event::kind::added, .key = socket});
  }

  void start_item(const std::shared_ptr<const plan::item>& item) {
    ++open;
    request(self, topics, patience, start_child{spec_of(tree, item)})
      .then(
        [this, item](const found_child&) {
          tell_start(item);
          answered();
        },
        [this, item](const caf::error& why) {
          if (is_gone(why))
            return;
          tree->roster.leave(item);
          outcome.failures.emplace(item->id, why);
          answered();
        });
  }

  template <class Question, class Then>
  void ask(Question question, Then then) {
    ++open;
    request(self, topics, patience, std::move(question))
      .then(
        [this, then](const child_done&) {
          then(caf::error{});
          answered();
        },
        [this, then](const caf::error& why) {
          if (is_gone(why))
            return;
          then(why);
          answered();
        });
  }

  /// The supervisor of topics has ended: this one is about to be stopped, and its successor begins anew.
  [[nodiscard]] static bool is_gone(const caf::error& why) {
    return is_receiver_down(why) || code_of(why) == errc::stopping;
  }

  void answered() {
    if (--open == 0)
      finish();
  }

  void finish() {
    busy = false;
    for (auto& who : std::exchange(asked, {}))
      who.deliver(outcome);
    if (std::exchange(again, false))
      begin_pass();
    else if (!outcome.failures.empty() && !std::exchange(will_retry, true))
      send_later(self, retry_interval, deferred{[this] { // unless whoever added something has taken it back
                   will_retry = false;
                   begin_pass();
                 }});
  }

  caf::behavior make_behavior() {
    join_tree(self, tree, reconciler_name(tree->description), supervisor, [this] {
      topics = tree->registry().whereis(topics_name(tree->description));
      if (!topics) {
        self->quit(make_error(exit_code::owner_down, "there is no supervisor of topics"));
        return false;
      }
      begin_pass();
      return true;
    });
    return behave(
      self, {},
      [this](reconcile) {
        auto promise = self->make_response_promise();
        later.push_back(promise);
        if (topics)
          begin_pass();
        return promise;
      },
      [this](report_vitals) { return vitals_of(self, open); });
  }
};

} // namespace

caf::actor spawn_reconciler(tree_context_ptr tree, caf::actor supervisor) {
  const auto here = tree;
  return here->counted(spawn_state<reconciler_state>(here->system, std::move(tree), std::move(supervisor)));
}

} // namespace stargate::internal
