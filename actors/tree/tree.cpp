#include <stargate/tree.hpp>

#include "actors/producer/messages.hpp"
#include "actors/receiver/messages.hpp"
#include "actors/shared/edit_distance.hpp"
#include "actors/shared/outcome.hpp"
#include "actors/shared/roles.hpp"
#include "actors/shared/tree_context.hpp"
#include "actors/tree/event_relay.hpp"
#include "actors/tree/inspection.hpp"
#include "actors/tree/reconciler.hpp"
#include "actors/tree/tree_guard.hpp"
#include "actors/tree/wiring.hpp"
#include "libstargate/connection/tls.hpp"
#include "libstargate/protocol/option_table.hpp"
#include "libstargate/protocol/percent.hpp"

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <utility>

namespace stargate {

using internal::publication_ptr;

namespace {

constexpr std::chrono::minutes patience{10};             // for a tree to stand; each of its actors bounds its own start
constexpr std::chrono::milliseconds answer_grace{1'000}; // beyond `send_timeout`, which the acknowledger keeps

/// The answers to a list of messages, for a thread that waits for them. Publications share it, so that it outlives
/// the wait.
class answers {
public:
  explicit answers(std::size_t count)
    : missing_{count},
      list_(count, make_error(errc::outcome_unknown, "no answer came within the time to send")) {}

  void set(std::size_t place, caf::expected<message_id> answer) {
    const std::lock_guard guard{mutex_};
    if (given_up_)
      return;
    list_[place] = std::move(answer);
    if (--missing_ == 0)
      all_there_.notify_one();
  }

  [[nodiscard]] std::vector<caf::expected<message_id>> wait(internal::environment& in,
                                                            internal::environment::clock::time_point until) {
    std::unique_lock lock{mutex_};
    in.wait(lock, all_there_, until, [this] { return missing_ == 0; });
    given_up_ = true;
    return std::move(list_);
  }

private:
  std::mutex mutex_;
  std::condition_variable all_there_;
  std::size_t missing_;
  bool given_up_ = false;
  std::vector<caf::expected<message_id>> list_;
};

/// For an error: the keys that are nearly the one that nobody has.
std::string what_is_there(const internal::tree_context& tree, const registry_key& wrong) {
  std::string near;
  constexpr std::size_t enough = 3;
  std::size_t named = 0;
  for (const auto& socket : tree.plan.sockets()) {
    const auto is = parse_registry_key(socket);
    if (!is || named == enough)
      continue;
    const auto kind = [](const registry_key& k) { return k.component.substr(0, k.component.find('/')); };
    if (is->topic != wrong.topic
        && (kind(*is) != kind(wrong) || internal::edit_distance(is->topic.topic, wrong.topic.topic) > 2))
      continue;
    near += (near.empty() ? "; there is '" : "', '") + socket;
    ++named;
  }
  return near.empty() ? near : near + "'";
}

caf::error no_tree() {
  return make_error(errc::stopping, "this handle holds no tree: it is empty, or was moved from");
}

/// Why this thread cannot wait for something of a tree, if it cannot.
caf::error may_not_wait(const internal::tree_context* tree, std::string_view call) {
  if (tree == nullptr)
    return no_tree();
  return tree->world->may_wait() ? caf::error{} : internal::would_block(call);
}

/// The error of a key that is no producer's of this tree, if it is none.
caf::error not_a_producer(const internal::tree_context& tree, const registry_key& key) {
  const auto& name = tree.description.name;
  if (key.name != name)
    return make_error(errc::not_registered, "the key '" + to_string(key) + "' is one of the tree '" + key.name
                                              + "', and this is the tree '" + name + "'");
  if (key.component != internal::row_of(internal::role::producer).socket)
    return make_error(errc::not_registered, "'" + to_string(key) + "' is not the key of a producer in the tree '" + name
                                              + "': a producer's component is 'producer'");
  if (auto ended = tree.board.why_ended())
    return ended;
  if (!tree.plan.producing_to(key.topic))
    return make_error(errc::not_registered, "no producer of " + to_string(key.topic) + " is registered in the tree '"
                                              + name + "'" + what_is_there(tree, key));
  return {};
}

/// Why there is no acknowledger now: it has given up, or it is being restarted.
caf::error no_acknowledger(const internal::tree_context& tree, const internal::role_keys& keys) {
  if (auto gone = tree.why_gone(keys.supervisor()))
    return gone;
  return make_error(errc::not_sent, to_string(keys.topic()) + ": the producer is being restarted");
}

internal::role_keys producer_keys(const registry_key& key) {
  return {internal::role::producer, key.topic, {}};
}

} // namespace

// -- starting and stopping ------------------------------------------------------

namespace {

/// Who waits until a tree stands.
struct starter_state {
  using told = std::function<void(caf::error, const std::shared_ptr<internal::tree_guard>&)>;
  static inline const char* name = "stargate.starter";

  caf::event_based_actor* const self;
  const told tell;
  std::shared_ptr<internal::tree_guard> guard; ///< Set when it is announced.
  bool stands = false;

  starter_state(caf::event_based_actor* of, told what) : self{of}, tell{std::move(what)} {}

  void done(caf::error how) {
    tell(std::move(how), std::exchange(guard, nullptr));
    self->quit();
  }

  caf::behavior make_behavior() {
    signal_handlers signals;
    signals.down = [this](const caf::actor_addr&, const caf::error& why) {
      done(make_error(errc::start_failed, describe(why)));
    };
    return behave(
      self, std::move(signals),
      [this](internal::announced& m) {
        guard = std::move(m.guard);
        if (stands)
          done({});
        else
          monitor(self, guard->supervisor);
      },
      [this](const child_started&) {
        stands = true;
        if (guard)
          done({});
      });
  }
};

/// A tree that is about to be started.
caf::expected<internal::tree_context_ptr> describe_tree(caf::actor_system& system, options o,
                                                        std::shared_ptr<internal::environment> world) {
  if (auto wrong = validate(o))
    return wrong;
  internal::tree_context_ptr result;
  try {
    result = std::make_shared<internal::tree_context>(system, std::move(o), std::move(world));
  } catch (const connection::bad_tls_settings& e) {
    return make_error(errc::invalid_option, e.what());
  } catch (const std::exception& e) {
    return make_error(errc::start_failed, e.what());
  }
  result->world->on_tree(result);
  for (const auto& doubt : protocol::doubts(result->description))
    result->say(log_level::warning, result->description.name, doubt);
  result->expect_all();
  return result;
}

/// What a tree that stands still needs.
caf::error complete(const std::shared_ptr<internal::tree_guard>& guard) {
  try {
    if (!guard->tree_context->description.inspection_socket.empty())
      guard->inspection = std::make_unique<internal::inspection_server>(guard->tree_context, guard->supervisor);
  } catch (const std::exception& e) {
    return make_error(errc::invalid_option, e.what()); // and the tree is stopped with the last handle to it
  }
  return {};
}

/// Begins to start a tree, and has `tell` called when it stands or will not.
caf::expected<std::shared_ptr<internal::tree_guard>> begin_to_start(const internal::tree_context_ptr& context,
                                                                    starter_state::told tell) {
  const auto starter = spawn_state<starter_state>(context->system, std::move(tell));
  auto guard = internal::tree_guard::make(context, starter);
  if (guard)
    post(starter, internal::announced{*guard});
  else
    send_exit(starter, caf::exit_reason::kill);
  return guard;
}

} // namespace

caf::expected<tree> start(caf::actor_system& system, options o) {
  return internal::start_in(system, std::move(o), {});
}

caf::expected<tree> internal::start_in(caf::actor_system& system, options o, std::shared_ptr<environment> world) {
  const auto context = describe_tree(system, std::move(o), std::move(world));
  if (!context)
    return context.error();
  if (!(*context)->world->may_wait())
    return internal::would_block("stargate::start");
  const auto standing = std::make_shared<internal::outcome<caf::error>>();
  const auto until = (*context)->now() + patience;
  const auto guard =
    begin_to_start(*context, [standing](caf::error how, const auto&) { standing->set(std::move(how)); });
  if (!guard)
    return guard.error();
  const auto failure = standing->wait(*(*context)->world, until);
  if (!failure || *failure)
    return failure ? *failure : make_error(errc::start_failed, "the tree did not stand in time");
  if (auto wrong = complete(*guard))
    return wrong;
  return (*context)->weak().lock();
}

void start(caf::actor_system& system, options o, std::function<void(caf::expected<tree>)> then) {
  const auto told = [&](const caf::error& why) {
    system.spawn([=](caf::event_based_actor*) { then(why); }); // never on the caller's own stack
  };
  const auto context = describe_tree(system, std::move(o), {});
  if (!context)
    return told(context.error());
  const auto guard = begin_to_start(*context, [then](caf::error how, const auto& mine) {
    if (!how)
      how = complete(mine);
    if (how)
      then(std::move(how));
    else
      then(mine->tree_context->weak().lock());
  });
  if (!guard)
    told(guard.error());
}

child_spec tree_spec(options o, child_id id, restart restart) {
  child_spec spec;
  spec.id = id.empty() ? o.name : std::move(id);
  spec.start = [o = std::move(o)](const start_context& context) -> caf::expected<caf::actor> {
    const auto tree = describe_tree(context.system, o, {});
    if (!tree)
      return tree.error();
    const auto guard = internal::tree_guard::make(*tree, context.supervisor);
    if (!guard)
      return guard.error();
    if (auto wrong = complete(*guard))
      return wrong; // and the tree is stopped with its guard
    // Nobody else may hold it. It goes with the tree, from which nothing is left then.
    caf::actor_cast<caf::abstract_actor*>((*guard)->supervisor)->attach_functor([guard = *guard] {
      guard->clean_up();
    });
    return (*guard)->supervisor;
  };
  spec.restart = restart;
  spec.type = child_type::supervisor;
  spec.start_timeout = patience;
  return spec;
}

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

tree find_tree(const caf::actor_system& system, std::string_view name) {
  const auto guard = internal::tree_guard::find(system, name);
  return guard ? guard->tree_context->weak().lock() : tree{};
}

// -- producing ------------------------------------------------------------------

std::vector<caf::expected<message_id>> tree::produce_list(const registry_key& producer,
                                                          std::vector<message> contents) const {
  const auto all = [&](const caf::error& why) { return std::vector<caf::expected<message_id>>(contents.size(), why); };
  if (const auto no = may_not_wait(context_.get(), "tree::produce"))
    return all(no);
  auto& world = *context_->world;
  if (auto wrong = not_a_producer(*context_, producer))
    return all(wrong);
  const auto to = context_->plan.producing_to(producer.topic);
  const auto keys = producer_keys(producer);
  const auto deadline = context_->now() + (to ? to->send_timeout : std::chrono::milliseconds{0});
  const auto acknowledger = context_->wait_for(keys.acknowledger(), keys.supervisor(), deadline);
  if (!acknowledger)
    return all(code_of(acknowledger.error()) == errc::timed_out ? no_acknowledger(*context_, keys)
                                                                : acknowledger.error());
  auto waiting = std::make_shared<answers>(contents.size());
  internal::publications batch;
  batch.waits_for_room = true;
  batch.items.reserve(contents.size());
  for (std::size_t i = 0; i < contents.size(); ++i)
    batch.items.push_back(std::make_shared<internal::publication>(
      std::move(contents[i]), [waiting, i](caf::expected<message_id> answer) { waiting->set(i, std::move(answer)); }));
  post(*acknowledger, std::move(batch));
  return waiting->wait(world, deadline + answer_grace);
}

caf::expected<message_id> tree::produce(const registry_key& producer, message content) const {
  std::vector<message> one;
  one.push_back(std::move(content));
  return std::move(produce_list(producer, std::move(one)).front());
}

void tree::hand_over(const registry_key& producer, std::vector<message> contents,
                     const std::function<receipt_handler(std::size_t)>& answer) const {
  if (!context_) {
    for (std::size_t i = 0; i < contents.size(); ++i)
      if (const auto tell = answer(i))
        tell(no_tree());
    return;
  }
  internal::answers_elsewhere refused{context_->system};
  const auto keys = producer_keys(producer);
  auto wrong = not_a_producer(*context_, producer);
  auto to = wrong ? nullptr : context_->plan.producing_to(producer.topic);
  const auto acknowledger = to ? context_->registry().whereis(keys.acknowledger()) : caf::actor{};
  if (!wrong && !acknowledger)
    wrong = no_acknowledger(*context_, keys);
  if (!to) // for what the answers throw
    to = std::make_shared<internal::producing>(to_string(producer.topic), std::chrono::milliseconds{0}, 0,
                                               context_->description.log);
  internal::publications batch;
  batch.items.reserve(contents.size());
  for (std::size_t i = 0; i < contents.size(); ++i) {
    if (wrong)
      refused.add(std::make_shared<internal::publication>(message{}, answer(i), to), wrong);
    else if (!to->entrance.enter())
      refused.add(std::make_shared<internal::publication>(message{}, answer(i), to), internal::queue_full(*to));
    else
      batch.items.push_back(std::make_shared<internal::publication>(std::move(contents[i]), answer(i), to, true));
  }
  if (!batch.items.empty())
    post(acknowledger, std::move(batch));
}

void tree::produce(const registry_key& producer, std::vector<message> contents,
                   std::function<void(std::size_t, caf::expected<message_id>)> answer) const {
  const auto shared = std::make_shared<decltype(answer)>(std::move(answer));
  hand_over(producer, std::move(contents), [&](std::size_t i) -> receipt_handler {
    return [shared, i](caf::expected<message_id> a) {
      if (*shared)
        (*shared)(i, std::move(a));
    };
  });
}

void tree::produce(const registry_key& producer, message content, receipt_handler answer) const {
  std::vector<message> one;
  one.push_back(std::move(content));
  hand_over(producer, std::move(one), [&](std::size_t) { return std::move(answer); });
}

void tree::produce(const registry_key& producer, message content, const caf::actor& answer_to) const {
  auto context = content.context.value_or("");
  produce(producer, std::move(content), [answer_to, context = std::move(context)](caf::expected<message_id> answer) {
    produced result{context, {}, {}};
    if (answer)
      result.id = std::move(*answer);
    else
      result.failure = std::move(answer.error());
    post(answer_to, std::move(result));
  });
}

disposition weak_tree::produce_and_ack(const received_message& in, const registry_key& to, message out) const {
  received_message settled; // what is needed of it for that
  settled.id = in.id;
  settled.sequence = in.sequence;
  settled.origin = in.origin;
  const auto failed = [&](const internal::tree_context* tree, const caf::error& why) {
    if (tree != nullptr)
      tree->say(log_level::warning, to_string(to),
                "message " + in.id.value + " is to be delivered again: " + describe(why));
    settled.negative_acknowledge();
    return disposition::continue_;
  };
  const auto context = context_.lock();
  if (!context)
    return failed(nullptr, {});
  if (auto wrong = not_a_producer(*context, to))
    return failed(context.get(), wrong);
  const auto known = context->plan.producing_to(to.topic);
  const auto keys = producer_keys(to);
  auto acknowledger = context->registry().whereis(keys.acknowledger());
  if (!acknowledger && known && context->world->may_wait())
    if (auto there = context->wait_for(keys.acknowledger(), keys.supervisor(), context->now() + known->send_timeout))
      acknowledger = *there;
  if (!acknowledger)
    return failed(context.get(), no_acknowledger(*context, keys));
  if (in.origin)
    post(in.origin->acknowledger, internal::will_settle{in.origin->connection, in.sequence});
  internal::publications batch;
  batch.waits_for_room = true;
  batch.items.push_back(std::make_shared<internal::publication>(
    std::move(out),
    [settled, context = context_, to](caf::expected<message_id> answer) {
      if (answer)
        return settled.acknowledge();
      if (const auto tree = context.lock())
        tree->say(log_level::warning, to_string(to),
                  "message " + settled.id.value + " is to be delivered again: " + describe(answer.error()));
      settled.negative_acknowledge();
    },
    known));
  post(acknowledger, std::move(batch));
  return disposition::continue_;
}

// -- looking up -----------------------------------------------------------------

registry tree::registry() const {
  return context_ ? context_->registry() : stargate::registry{};
}

caf::actor tree::whereis(const registry_key& key) const {
  return registry().whereis(to_string(key));
}

caf::expected<caf::actor> tree::await(const registry_key& key, std::chrono::milliseconds timeout) const {
  if (auto no = may_not_wait(context_.get(), "tree::await"))
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

/// `consumer/billing` is `dispatcher/billing` with `to` = dispatcher; nothing for what is neither consumer nor reader.
std::optional<registry_key> sibling_of(const registry_key& receiver, std::string_view internal::role_row::*to) {
  for (const auto r : {internal::role::consumer, internal::role::reader}) {
    const auto& row = internal::row_of(r);
    const auto slash = std::min(receiver.component.find('/'), receiver.component.size());
    if (receiver.component.substr(0, slash) != row.socket)
      continue;
    auto key = receiver;
    key.component = std::string{row.*to} + receiver.component.substr(slash);
    return key;
  }
  return std::nullopt;
}

/// Asks the dispatcher of a receiver, and waits for the answer.
template <class Question>
caf::expected<bool> ask_dispatcher(internal::tree_context* of, std::string_view call, const registry_key& receiver,
                                   std::chrono::milliseconds timeout) {
  if (auto no = may_not_wait(of, call))
    return no;
  auto& tree = *of;
  const auto key = sibling_of(receiver, &internal::role_row::dispatcher);
  const auto dispatcher = key ? tree.registry().whereis(to_string(*key)) : caf::actor{};
  if (!dispatcher) {
    const auto supervisor = sibling_of(receiver, &internal::role_row::supervisor);
    if (auto gone = supervisor ? tree.why_gone(to_string(*supervisor)) : caf::error{})
      return gone;
    return make_error(errc::not_registered, "no consumer or reader '" + to_string(receiver) + "' is registered"
                                              + what_is_there(tree, receiver));
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
  if (consumer.component.substr(0, consumer.component.find('/')) != internal::row_of(internal::role::consumer).socket)
    return make_error(errc::not_registered, "'" + to_string(consumer) + "' is not the key of a consumer");
  auto told = ask_dispatcher<internal::leave_subscription>(context_.get(), "tree::unsubscribe", consumer, timeout);
  if (!told)
    return told.error();
  auto failure = remove(consumer);
  if (code_of(failure) == errc::child_not_found) // unless it is an instance's, somebody else has removed it meanwhile
    if (const auto left = context_->plan.sockets();
        std::find(left.begin(), left.end(), to_string(consumer)) == left.end())
      return {};
  return failure;
}

// -- while it runs ----------------------------------------------------------------

namespace {

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

/// Starts what was added to the plan; if that fails it is taken back.
caf::error start_added(internal::tree_context& tree, const internal::plan::items& added) {
  tree.expect_all();
  const auto outcome = reconcile(tree);
  caf::error failure = outcome ? caf::error{} : outcome.error();
  if (outcome)
    for (const auto& item : added)
      if (const auto found = outcome->failures.find(item->id); found != outcome->failures.end() && !failure)
        failure = found->second;
  if (!failure)
    return {};
  tree.plan.remove(added);
  if (outcome)
    static_cast<void>(reconcile(tree));
  for (const auto& item : added)
    for (const auto& socket : item->sockets)
      tree.board.forget(socket);
  return failure;
}

/// Ends what was removed from the plan.
caf::error end_removed(internal::tree_context& tree) {
  const auto outcome = reconcile(tree);
  return outcome ? caf::error{} : outcome.error();
}

/// Why nothing can be changed: by this thread, or any more.
caf::error unchangeable(const internal::tree_context* tree, std::string_view call) {
  if (auto no = may_not_wait(tree, call))
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
  const auto added = context_->plan.add(own, answers_vitals);
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
  const auto socket = to_string(key);
  if (!context_->plan.remove(socket))
    return make_error(errc::child_not_found, "no producer, consumer or reader '" + socket
                                               + "' was described for the tree '" + name() + "'"
                                               + what_is_there(*context_, key));
  return end_removed(*context_);
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
  if (!context_->plan.renew(to_string(key)))
    return make_error(errc::child_not_found, "no producer, consumer or reader '" + to_string(key) + "' is in the tree '"
                                               + name() + "'" + what_is_there(*context_, key));
  const auto outcome = reconcile(*context_);
  if (!outcome)
    return outcome.error();
  return outcome->failures.empty() ? caf::error{} : outcome->failures.begin()->second;
}

// -- looking inside -------------------------------------------------------------

namespace {

std::shared_ptr<internal::event_inbox> listen(const internal::tree_context_ptr& tree, std::size_t most, caf::actor to,
                                              std::function<void(const event&)> or_to) {
  auto inbox = std::make_shared<internal::event_inbox>(most);
  internal::spawn_event_relay(tree->system, inbox, std::move(to), std::move(or_to));
  tree->events.add(inbox);
  if (auto ended = tree->board.why_ended())
    tree->events.tell({.what = event::kind::stopped, .key = tree->description.name, .why = std::move(ended)});
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
  if (auto no = may_not_wait(context_.get(), "tree::wait_ready"))
    return no;
  return context_->board.wait_connected(*context_->world, context_->now() + timeout);
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
