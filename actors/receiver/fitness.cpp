#include "actors/receiver/fitness.hpp"

#include "actors/shared/apart.hpp"
#include "actors/shared/broker_version.hpp"
#include "actors/shared/messages.hpp"

#include <stargate/admin.hpp>

namespace stargate::internal {

namespace {

constexpr std::chrono::milliseconds patience{10'000};

// The broker begins all partitions behind one message's id: after a lost connection nobody knows where to go on in the
// others.
caf::error why_not_read(tree_context& tree, const topic_name& topic) {
  const auto count = tree.world->make_admin(tree.description, patience).partitions(topic);
  if (!count || *count == 0)
    return {};
  return unfit(topic, "the topic has " + std::to_string(*count)
                        + " partitions, and a reader can go on after a lost connection in one only: read each by a "
                          "reader of its own, from "
                        + topic.topic + "-partition-0 on, or use a consumer");
}

caf::error why_not(tree_context& tree, const receiver& r) {
  const auto topic = r.keys.topic();
  if (r.position)
    return why_not_read(tree, topic);
  if (r.from_earliest) // before 4.0 it does not know `subscriptionInitialPosition`
    if (auto wrong = too_old(tree, topic, "position is earliest", 4, 0))
      return wrong;
  return r.decrypts ? too_old(tree, topic, "decryption_keys are set", 2, 11) : caf::error{};
}

} // namespace

bool needs_check(const receiver& r) {
  return r.position || r.from_earliest || r.decrypts;
}

void check_fitness(const tree_context_ptr& tree, const receiver_ptr& r, const caf::actor& answer_to) {
  if (!r->position && tree->knows_broker_version()) // then nothing blocks
    return post(answer_to, fitness_checked{why_not(*tree, *r)});
  run_apart(tree, [=] { post(answer_to, fitness_checked{why_not(*tree, *r)}); });
}

} // namespace stargate::internal
