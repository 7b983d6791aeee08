// Producing by a tree's handle.
#include "actors/producer/messages.hpp"
#include "actors/receiver/messages.hpp"
#include "actors/shared/roles.hpp"
#include "actors/shared/tree_context.hpp"
#include "actors/tree/calls.hpp"

#include <stargate/tree.hpp>

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

namespace stargate {

namespace {

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
                                              + name + "'" + internal::what_is_there(tree, key));
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

std::vector<caf::expected<message_id>> tree::produce_list(const registry_key& producer,
                                                          std::vector<message> contents) const {
  const auto all = [&](const caf::error& why) { return std::vector<caf::expected<message_id>>(contents.size(), why); };
  if (const auto no = internal::may_not_wait(context_.get(), "tree::produce"))
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
        tell(internal::no_tree());
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

namespace {

/// Whom to hand a message for a producer to, who is waited for while it is being restarted, where one may wait.
caf::expected<caf::actor> acknowledger_of(internal::tree_context& tree, const registry_key& producer) {
  if (auto wrong = not_a_producer(tree, producer))
    return wrong;
  const auto keys = producer_keys(producer);
  if (auto who = tree.registry().whereis(keys.acknowledger()))
    return who;
  const auto to = tree.plan.producing_to(producer.topic);
  if (to && tree.world->may_wait())
    if (auto who = tree.wait_for(keys.acknowledger(), keys.supervisor(), tree.now() + to->send_timeout))
      return who;
  return no_acknowledger(tree, keys);
}

} // namespace

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
  const auto context = context_.lock();
  const auto acknowledger = context ? acknowledger_of(*context, to) : internal::no_tree();
  if (!acknowledger) {
    settle(acknowledger.error());
    return disposition::continue_;
  }
  if (in.origin)
    post(in.origin->acknowledger, internal::will_settle{in.origin->connection, in.sequence});
  internal::publications batch;
  batch.waits_for_room = true;
  batch.items.push_back(
    std::make_shared<internal::publication>(std::move(out), settle, context->plan.producing_to(to.topic)));
  post(*acknowledger, std::move(batch));
  return disposition::continue_;
}

} // namespace stargate
