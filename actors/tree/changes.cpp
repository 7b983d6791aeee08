// What changes what runs in a tree.
#include "actors/shared/outcome.hpp"
#include "actors/shared/tree_context.hpp"
#include "actors/tree/calls.hpp"
#include "actors/tree/reconciler.hpp"
#include "actors/tree/wiring.hpp"

#include <stargate/tree.hpp>

#include <algorithm>
#include <chrono>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

namespace stargate {

namespace {

constexpr std::chrono::minutes patience{10}; // each of the actors that start and stop bounds its own time

/// Has the reconciler bring what runs to the plan, and waits until it has.
/// @par Errors errc::stopping when the tree has ended
caf::expected<internal::reconciled> reconcile(internal::tree_context& tree) {
  const auto until = tree.now() + patience;
  for (;;) {
    const auto who = tree.wait_for(internal::reconciler_name(tree.description), {}, until);
    if (!who)
      return who.error();
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - tree.now());
    auto answer =
      internal::ask_and_wait<internal::reconciled>(tree.system, *tree.world, *who, left, internal::reconcile{});
    if (answer || code_of(answer.error()) != errc::stopping)
      return answer;
  }
}

/// Why items of the plan do not run; whatever else does not is others' affair.
caf::error failure_of(const caf::expected<internal::reconciled>& outcome, const internal::plan::items& items) {
  if (!outcome)
    return outcome.error();
  for (const auto& item : items)
    if (const auto found = outcome->failures.find(item->id); found != outcome->failures.end())
      return found->second;
  return {};
}

/// Starts what was added to the plan; if that fails it is taken back.
caf::error start_added(internal::tree_context& tree, const internal::plan::items& added) {
  tree.expect_all();
  const auto outcome = reconcile(tree);
  auto failure = failure_of(outcome, added);
  if (!failure)
    return {};
  tree.plan.remove(added);
  if (outcome)
    static_cast<void>(reconcile(tree));
  for (const auto& item : added)
    for (const auto& socket : item->sockets()) {
      tree.board.forget(socket);
      tree.metrics.forget(socket);
    }
  return failure;
}

/// Who runs for a producer, consumer or reader, and for the whole instance that it is part of. It is asked before the plan is
/// changed: afterwards they may be those that somebody else has started in their place.
std::vector<caf::actor> living(const internal::tree_context& tree, const internal::role_keys& who) {
  std::vector<internal::role_keys> keys{who};
  for (const auto& item : tree.plan.now())
    if (std::find(item->keys.begin(), item->keys.end(), who) != item->keys.end())
      keys = item->keys;
  std::vector<caf::actor> result;
  for (const auto& k : keys)
    for (const auto& name : {k.supervisor(), k.dispatcher(), k.acknowledger(), k.socket()})
      if (auto found = tree.registry().whereis(name))
        result.push_back(std::move(found));
  return result;
}

/// Waits for the end of those who are asked to end. Nobody else waits for those who have lost their supervisor to a kill.
void wait_for_end(internal::tree_context& tree, const std::vector<caf::actor>& all) {
  const auto until = tree.now() + patience;
  for (const auto& who : all) {
    const auto ended = std::make_shared<internal::outcome<bool>>();
    caf::actor_cast<caf::abstract_actor*>(who)->attach_functor([ended](const caf::error&) { ended->set(true); });
    static_cast<void>(ended->wait(*tree.world, until));
  }
}

/// Ends what was removed from the plan.
caf::error end_removed(internal::tree_context& tree) {
  const auto outcome = reconcile(tree);
  return outcome ? caf::error{} : outcome.error();
}

/// Starts what takes the place of what is there. @param items empty where there is none of this key
caf::error put_in_place(internal::tree_context& tree, const registry_key& key, const internal::plan::items& items) {
  if (items.empty())
    return make_error(errc::child_not_found, "no producer, consumer or reader '" + to_string(key) + "' is in the tree '"
                                               + tree.description.name + "'" + internal::what_is_there(tree, key));
  return failure_of(reconcile(tree), items);
}

/// Why nothing can be changed: by this thread, or any more.
caf::error unchangeable(const internal::tree_context* tree, std::string_view call) {
  if (auto no = internal::may_not_wait(tree, call))
    return no;
  return tree->board.why_ended();
}

} // namespace

caf::error tree::add(const pipelines& what) const {
  if (auto no = unchangeable(context_.get(), "tree::add"))
    return no;
  const auto added = context_->plan.add(what);
  return added ? start_added(*context_, *added) : added.error();
}

caf::error tree::add(const child_spec& own, bool answers_vitals) const {
  if (auto no = unchangeable(context_.get(), "tree::add"))
    return no;
  auto added = context_->plan.add(own, answers_vitals);
  if (!added && code_of(added.error()) == errc::child_present
      && reconcile(*context_)) // which forgets what has had its time
    added = context_->plan.add(own, answers_vitals);
  return added ? start_added(*context_, *added) : added.error();
}

caf::error tree::remove(const child_id& own) const {
  if (auto no = unchangeable(context_.get(), "tree::remove"))
    return no;
  if (!context_->plan.remove_own(own))
    return make_error(errc::child_not_found, "no '" + own + "' was added to the tree '" + name() + "'");
  return end_removed(*context_);
}

caf::error tree::remove(const registry_key& key) const {
  if (auto no = unchangeable(context_.get(), "tree::remove"))
    return no;
  const auto who = internal::role_keys::of(key);
  const auto of_it = who ? living(*context_, *who) : std::vector<caf::actor>{};
  if (!who || !context_->plan.remove(*who))
    return make_error(errc::child_not_found, "no producer, consumer or reader '" + to_string(key)
                                               + "' was described for the tree '" + name() + "'"
                                               + internal::what_is_there(*context_, key));
  auto failure = end_removed(*context_);
  if (!failure)
    wait_for_end(*context_, of_it);
  return failure;
}

caf::error tree::start_child(const std::string& from, const std::string& argument) const {
  if (auto no = unchangeable(context_.get(), "tree::start_child"))
    return no;
  const auto added = context_->plan.add(internal::plan::instance{from, argument});
  return added ? start_added(*context_, *added) : added.error();
}

caf::error tree::terminate_child(const std::string& from, const std::string& argument) const {
  if (auto no = unchangeable(context_.get(), "tree::terminate_child"))
    return no;
  if (!context_->plan.remove(internal::plan::instance{from, argument}))
    return make_error(errc::child_not_found, "no '" + argument + "' of the template '" + from + "' is in the tree");
  return end_removed(*context_);
}

caf::error tree::restart(const registry_key& key) const {
  if (auto no = unchangeable(context_.get(), "tree::restart"))
    return no;
  const auto who = internal::role_keys::of(key);
  return put_in_place(*context_, key, who ? context_->plan.renew(*who) : internal::plan::items{});
}

caf::error tree::drain(const registry_key& key) const {
  if (auto no = unchangeable(context_.get(), "tree::drain"))
    return no;
  const auto who = internal::role_keys::of(key);
  const auto of_it = who ? living(*context_, *who) : std::vector<caf::actor>{};
  auto failure = put_in_place(*context_, key, who ? context_->plan.drain(*who) : internal::plan::items{});
  if (!failure)
    wait_for_end(*context_, of_it);
  return failure;
}

} // namespace stargate
