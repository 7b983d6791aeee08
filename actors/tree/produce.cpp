// Producing by a tree's handle.
#include "actors/producer/messages.hpp"
#include "actors/receiver/messages.hpp"
#include "actors/shared/inline_execution.hpp"
#include "actors/shared/roles.hpp"
#include "actors/shared/spans.hpp"
#include "actors/shared/tree_context.hpp"
#include "actors/tree/calls.hpp"
#include "libstargate/connection/doorbell.hpp"

#include <stargate/tree.hpp>

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

namespace stargate {

using namespace compat;

namespace {

constexpr std::chrono::milliseconds answer_grace{1'000}; // beyond `send_timeout`, which the acknowledger keeps

/// The answers to a list of messages, for a thread that waits for them. Publications share it, so that it outlives
/// the wait.
class answers {
public:
  explicit answers(std::size_t count) : missing_{count}, list_(count) {}

  void set(std::size_t place, caf::expected<message_id> answer) {
    std::shared_ptr<connection::doorbell> bell;
    {
      const std::lock_guard guard{mutex_};
      if (given_up_)
        return;
      list_[place].emplace(std::move(answer));
      if (--missing_ > 0)
        return;
      if (std::this_thread::get_id() == waiting_)
        return; // it has read the answer itself
      bell = bell_;
    }
    if (bell)
      bell->ring();
    else
      all_there_.notify_one(); // whom that wakes finds the lock free
  }

  /// The thread that handed the messages over may read their receipts itself, where nothing streams.
  void wait_by(const std::shared_ptr<connection::link>& link, internal::environment::clock::time_point until) {
    const auto mine = link ? connection::doorbell_of_this_thread() : nullptr;
    if (!mine)
      return;
    const auto all_there = [this] {
      const std::lock_guard guard{mutex_};
      return missing_ == 0;
    };
    set_bell(mine, std::this_thread::get_id());
    link->lend_thread(all_there, until, mine);
    set_bell({}, {});
  }

  [[nodiscard]] std::vector<caf::expected<message_id>> wait(internal::environment& in,
                                                            internal::environment::clock::time_point until) {
    std::unique_lock lock{mutex_};
    in.wait(lock, all_there_, until, [this] { return missing_ == 0; });
    given_up_ = true;
    std::vector<caf::expected<message_id>> all;
    all.reserve(list_.size());
    for (auto& answer : list_)
      all.push_back(answer ? *std::move(answer)
                           : make_error(errc::outcome_unknown, "no answer came within the time to send"));
    return all;
  }

private:
  void set_bell(std::shared_ptr<connection::doorbell> bell, std::thread::id waiting) {
    const std::lock_guard guard{mutex_};
    bell_ = std::move(bell);
    waiting_ = waiting;
  }

  std::mutex mutex_;
  std::condition_variable all_there_;
  std::shared_ptr<connection::doorbell> bell_; ///< Of a thread that waits by the transport.
  std::thread::id waiting_;
  std::size_t missing_;
  bool given_up_ = false;
  std::vector<std::optional<caf::expected<message_id>>> list_;
};

/// What there is to know of the producer that a key names.
/// @par Errors errc::not_registered; errc::stopping when the tree has ended
caf::expected<std::shared_ptr<internal::producing>> producing_of(const internal::tree_context& tree,
                                                                 const registry_key& key) {
  const auto& name = tree.description.name;
  if (key.name != name)
    return make_error(errc::not_registered, "the key '" + to_string(key) + "' is one of the tree '" + key.name
                                              + "', and this is the tree '" + name + "'");
  if (key.component != internal::row_of(internal::role::producer).socket)
    return make_error(errc::not_registered, "'" + to_string(key) + "' is not the key of a producer in the tree '" + name
                                              + "': a producer's component is 'producer'");
  if (auto known = tree.plan.producing_to(key.topic))
    return known;
  if (auto ended = tree.board.why_ended())
    return ended;
  return make_error(errc::not_registered, "no producer of " + to_string(key.topic) + " is registered in the tree '"
                                            + name + "'" + internal::what_is_there(tree, key));
}

internal::role_keys producer_keys(const registry_key& key) {
  return {internal::role::producer, key.topic, {}};
}

/// Why there is no acknowledger now: the tree has ended, it has given up, or it is being restarted.
caf::error no_acknowledger(const internal::tree_context& tree, const registry_key& key) {
  if (auto gone = tree.why_gone(producer_keys(key).supervisor()))
    return gone;
  return make_error(errc::not_sent, to_string(key.topic) + ": the producer is being restarted");
}

/// The acknowledger of a producer, which is waited for while it is being restarted, where one may wait.
/// @par Errors as `tree_context::why_gone`; errc::not_sent when it is not there in time
caf::expected<caf::actor> wait_for_acknowledger(internal::tree_context& tree, const registry_key& key,
                                                const internal::producing& to,
                                                internal::environment::clock::time_point until) {
  if (auto who = to.acknowledger())
    return who;
  if (!tree.world->may_wait())
    return no_acknowledger(tree, key);
  const auto keys = producer_keys(key);
  auto who = tree.wait_for(keys.acknowledger(), keys.supervisor(), until);
  return who || code_of(who.error()) != errc::timed_out ? std::move(who) : no_acknowledger(tree, key);
}

/// A message on its way, and its span where there is a hook.
template <class... More>
internal::publication_ptr publication_of(const internal::tree_context& tree, const topic_name& topic, message what,
                                         internal::receipt_listener answer, More&&... more) {
  answer = internal::traced(tree, topic, what, std::move(answer));
  return std::make_shared<internal::publication>(std::move(what), std::move(answer), std::forward<More>(more)...);
}

/// Hands messages to the acknowledger, and on to the socket, where nothing streams: that wakes no thread, and gives true.
bool carry(const internal::tree_context& tree, internal::producing& to, const caf::actor& acknowledger,
           internal::publications batch) {
  const bool calm = tree.world->has_threads() && to.is_calm(tree.now());
  if (calm)
    post_and_run(acknowledger, inline_host::caller, std::move(batch));
  else
    post(acknowledger, std::move(batch));
  return calm;
}

} // namespace

std::vector<caf::expected<message_id>> tree::produce_list(const registry_key& producer,
                                                          std::vector<message> contents) const {
  const auto all = [&](const caf::error& why) { return std::vector<caf::expected<message_id>>(contents.size(), why); };
  if (const auto no = internal::may_not_wait(context_.get(), "tree::produce"))
    return all(no);
  auto& world = *context_->world;
  const auto to = producing_of(*context_, producer);
  if (!to)
    return all(to.error());
  const auto deadline = context_->now() + (*to)->send_timeout;
  const auto acknowledger = wait_for_acknowledger(*context_, producer, **to, deadline);
  if (!acknowledger)
    return all(acknowledger.error());
  auto waiting = std::make_shared<answers>(contents.size());
  internal::publications batch;
  batch.waits_for_room = true;
  batch.items.reserve(contents.size());
  for (std::size_t i = 0; i < contents.size(); ++i)
    batch.items.push_back(
      publication_of(*context_, producer.topic, std::move(contents[i]),
                     [waiting, i](caf::expected<message_id> answer) { waiting->set(i, std::move(answer)); }));
  const auto until = deadline + answer_grace;
  if (carry(*context_, **to, *acknowledger, std::move(batch)))
    waiting->wait_by((*to)->link(), until);
  return waiting->wait(world, until);
}

caf::expected<message_id> tree::produce(const registry_key& producer, message content) const {
  std::vector<message> one;
  one.push_back(std::move(content));
  return std::move(produce_list(producer, std::move(one)).front());
}

void tree::hand_over(const registry_key& producer, std::vector<message> contents,
                     const std::function<internal::receipt_listener(std::size_t)>& answer) const {
  if (!context_) {
    for (std::size_t i = 0; i < contents.size(); ++i)
      if (const auto tell = answer(i))
        tell(internal::no_tree());
    return;
  }
  internal::answers_elsewhere refused{context_->system};
  const auto known = producing_of(*context_, producer);
  const auto to = known ? *known
                        : std::make_shared<internal::producing>( // for what the answers throw
                          to_string(producer.topic), std::chrono::milliseconds{0}, 0, context_->description.log);
  const auto acknowledger = to->acknowledger();
  const auto wrong = !known ? known.error() : acknowledger ? caf::error{} : no_acknowledger(*context_, producer);
  internal::publications batch;
  batch.items.reserve(contents.size());
  for (std::size_t i = 0; i < contents.size(); ++i) {
    if (wrong)
      refused.add(std::make_shared<internal::awaited_receipt>(answer(i), to), wrong);
    else if (!to->entrance.enter())
      refused.add(std::make_shared<internal::awaited_receipt>(answer(i), to), internal::queue_full(*to));
    else
      batch.items.push_back(
        publication_of(*context_, producer.topic, std::move(contents[i]), answer(i), to, true, true));
  }
  if (!batch.items.empty())
    carry(*context_, *to, acknowledger, std::move(batch));
}

void tree::produce(const registry_key& producer, std::vector<message> contents,
                   std::function<void(std::size_t, caf::expected<message_id>)> answer) const {
  const auto all = std::make_shared<const decltype(answer)>(std::move(answer));
  hand_over(producer, std::move(contents), [&](std::size_t i) { return internal::receipt_listener{all, i}; });
}

void tree::produce(const registry_key& producer, message content, receipt_handler answer) const {
  std::vector<message> one;
  one.push_back(std::move(content));
  hand_over(producer, std::move(one), [&](std::size_t) { return internal::receipt_listener{std::move(answer)}; });
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
  const auto settle = [message = internal::without_content(in), context = context_,
                       to](const caf::expected<message_id>& answer) {
    if (answer)
      return message.acknowledge();
    if (const auto tree = context.lock())
      tree->say(log_level::warning, to_string(to),
                "message " + message.id.value + " is to be delivered again: " + describe(answer.error()));
    message.negative_acknowledge();
  };
  const auto refuse = [&](const caf::error& why) {
    settle(why);
    return disposition::continue_;
  };
  const auto context = context_.lock();
  if (!context)
    return refuse(internal::no_tree());
  const auto known = producing_of(*context, to);
  if (!known)
    return refuse(known.error());
  const auto acknowledger = wait_for_acknowledger(*context, to, **known, context->now() + (*known)->send_timeout);
  if (!acknowledger)
    return refuse(acknowledger.error());
  if (in.origin)
    post(in.origin->acknowledger, internal::will_settle{in.origin->connection, in.sequence});
  internal::publications batch;
  batch.waits_for_room = true;
  batch.items.push_back(publication_of(*context, to.topic, std::move(out), settle, *known));
  post(*acknowledger, std::move(batch));
  return disposition::continue_;
}

} // namespace stargate
