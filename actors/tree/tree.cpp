// The handle to a tree: looking things up, asking receivers, looking inside, stopping.
#include <stargate/tree.hpp>

#include "actors/receiver/messages.hpp"
#include "actors/shared/outcome.hpp"
#include "actors/shared/roles.hpp"
#include "actors/shared/tree_context.hpp"
#include "actors/tree/calls.hpp"
#include "actors/tree/event_relay.hpp"
#include "actors/tree/inspection.hpp"
#include "actors/tree/tree_guard.hpp"
#include "actors/tree/wiring.hpp"
#include "libstargate/protocol/percent.hpp"

#include <algorithm>
#include <utility>

namespace stargate {

using namespace compat;

caf::error tree::stop(std::chrono::milliseconds timeout) const {
  return guard_ ? guard_->stop(timeout) : caf::error{};
}

weak_tree tree::weak() const {
  return weak_tree{context_};
}

tree weak_tree::lock() const {
  tree result;
  if (auto context = context_.lock())
    if (auto guard = context->guard()) {
      result.context_ = std::move(context);
      result.guard_ = std::move(guard);
    }
  return result;
}

// -- looking up -----------------------------------------------------------------

registry tree::registry() const {
  return context_ ? context_->registry() : stargate::registry{};
}

caf::actor tree::whereis(const registry_key& key) const {
  return registry().whereis(to_string(key));
}

caf::expected<caf::actor> tree::await(const registry_key& key, std::chrono::milliseconds timeout) const {
  if (auto no = internal::may_not_wait(context_.get(), "tree::await"))
    return no;
  const auto name = to_string(key);
  const auto nobody = [&] { return make_error(errc::timed_out, "nobody registered '" + name + "' in time"); };
  const auto deadline = context_->now() + timeout;
  for (;;) {
    if (auto ended = context_->board.why_ended())
      return ended;
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - context_->now());
    if (left <= std::chrono::milliseconds::zero())
      return nobody();
    // A registry that ended meanwhile is succeeded by another, under its name in the same table.
    const auto names = context_->wait_for(internal::registry_name(context_->description), {}, deadline);
    if (!names)
      return code_of(names.error()) == errc::timed_out ? nobody() : names.error();
    auto who = internal::ask_and_wait<found>(context_->system, *context_->world, *names, left, await_name{name, left});
    if (who)
      return std::move(who->who);
    if (code_of(who.error()) != errc::stopping)
      return who.error();
  }
}

std::vector<registry_key> tree::keys(const key_pattern& p) const {
  const auto encoded = [](const std::optional<std::string>& part) {
    return part ? std::optional{protocol::percent_encode(*part)} : std::nullopt;
  };
  const auto persistence = p.persistence ? std::optional{std::string{name_of(*p.persistence)}} : std::nullopt;
  std::vector<registry_key> result;
  for (const auto& entry :
       registry()
         .select({encoded(p.component), persistence, encoded(p.tenant), encoded(p.ns), encoded(p.topic)})
         .entries)
    if (auto key = parse_registry_key(entry.name)) {
      key->name = this->name();
      result.push_back(std::move(*key));
    }
  return result;
}

// -- consumers and readers ------------------------------------------------------

namespace {

/// Of a consumer or a reader; nothing for any other key.
std::optional<internal::role_keys> receiver_keys(const registry_key& socket) {
  auto keys = internal::role_keys::of(socket);
  return keys && keys->role() != internal::role::producer ? keys : std::nullopt;
}

/// Asks the dispatcher of a receiver, and waits for the answer.
template <class Question>
caf::expected<bool> ask_dispatcher(internal::tree_context* of, std::string_view call, const registry_key& receiver,
                                   std::chrono::milliseconds timeout) {
  if (auto no = internal::may_not_wait(of, call))
    return no;
  auto& tree = *of;
  const auto keys = receiver_keys(receiver);
  const auto dispatcher = keys ? tree.registry().whereis(keys->dispatcher()) : caf::actor{};
  if (!dispatcher) {
    if (auto gone = keys ? tree.why_gone(keys->supervisor()) : caf::error{})
      return gone;
    return make_error(errc::not_registered, "no consumer or reader '" + to_string(receiver) + "' is registered"
                                              + internal::what_is_there(tree, receiver));
  }
  const auto until = tree.now() + timeout;
  const auto result = std::make_shared<internal::outcome<caf::expected<bool>>>();
  post(dispatcher, Question{std::make_shared<internal::one_answer<bool>>(
                     [result](caf::expected<bool> answer) { result->set(std::move(answer)); })});
  if (auto answer = result->wait(*tree.world, until))
    return *answer;
  return make_error(errc::timed_out,
                    to_string(receiver) + ": no answer within " + std::to_string(timeout.count()) + " ms");
}

} // namespace

caf::expected<bool> tree::is_end_of_topic(const registry_key& receiver, std::chrono::milliseconds timeout) const {
  return ask_dispatcher<internal::ask_end_of_topic>(context_.get(), "tree::is_end_of_topic", receiver, timeout);
}

caf::error tree::unsubscribe(const registry_key& consumer, std::chrono::milliseconds timeout) const {
  const auto keys = receiver_keys(consumer);
  if (!keys || keys->role() != internal::role::consumer)
    return make_error(errc::not_registered, "'" + to_string(consumer) + "' is not the key of a consumer");
  auto told = ask_dispatcher<internal::leave_subscription>(context_.get(), "tree::unsubscribe", consumer, timeout);
  if (!told)
    return told.error();
  auto failure = remove(consumer);
  if (code_of(failure) == errc::child_not_found) // unless it is an instance's, somebody else has removed it meanwhile
    if (const auto left = context_->plan.keys(); std::find(left.begin(), left.end(), *keys) == left.end())
      return {};
  return failure;
}

// -- looking inside -------------------------------------------------------------

namespace {

std::shared_ptr<internal::event_inbox> listen(const internal::tree_context_ptr& tree, std::size_t most, caf::actor to,
                                              std::function<void(const event&)> or_to) {
  auto inbox = std::make_shared<internal::event_inbox>(most);
  internal::spawn_event_relay(tree->system, inbox, std::move(to), std::move(or_to));
  tree->events.add(inbox);
  if (const auto ended = tree->board.why_ended())
    internal::event_bus::tell(*inbox, {.what = event::kind::stopped, .key = tree->description.name, .why = ended});
  return inbox;
}

} // namespace

subscription tree::subscribe(const caf::actor& listener, std::size_t most) const {
  return context_ && listener ? subscription{listen(context_, most, listener, {})} : subscription{};
}

subscription tree::subscribe(std::function<void(const event&)> listener, std::size_t most) const {
  return context_ && listener ? subscription{listen(context_, most, {}, std::move(listener))} : subscription{};
}

caf::error tree::wait_ready(std::chrono::milliseconds timeout) const {
  if (auto no = internal::may_not_wait(context_.get(), "tree::wait_ready"))
    return no;
  return context_->board.wait_connected(*context_->world, context_->now() + timeout);
}

std::optional<std::uint16_t> tree::monitor_port() const {
  const auto port = context_ ? context_->monitor_port.load() : std::uint16_t{0};
  return port == 0 ? std::nullopt : std::optional{port};
}

caf::actor tree::supervisor() const {
  return guard_ ? guard_->supervisor : caf::actor{};
}

const std::string& tree::name() const {
  static const std::string none;
  return context_ ? context_->description.name : none;
}

tree_snapshot tree::inspect(std::chrono::milliseconds timeout) const {
  return context_ ? internal::look_at(*context_, guard_->supervisor, timeout) : tree_snapshot{};
}

} // namespace stargate
