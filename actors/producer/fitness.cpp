#include "actors/producer/fitness.hpp"

#include "actors/shared/apart.hpp"
#include "actors/shared/broker_version.hpp"
#include "actors/shared/messages.hpp"

#include <stargate/admin.hpp>

namespace stargate::internal {

namespace {

constexpr std::chrono::milliseconds patience{10'000};

bool broker_deduplicates(const admin& broker) {
  const auto configuration = broker.request("GET", "brokers/configuration/runtime");
  return configuration && configuration->find(R"("brokerDeduplicationEnabled":"true")") != std::string::npos;
}

caf::error why_not_once(tree_context& tree, const topic_name& topic) {
  const auto broker = tree.world->make_admin(tree.description, patience);
  const auto ns = topic.tenant + "/" + topic.ns;
  const std::string kept = "effectively_once cannot be kept: ";
  const auto on = broker.deduplication(ns);
  if (!on) {
    tree.say(log_level::warning, to_string(topic),
             "effectively_once: whether namespace " + ns
               + " has deduplication could not be asked: " + describe(on.error()));
    return {};
  }
  if (!on->value_or(false) && (on->has_value() || !broker_deduplicates(broker)))
    return unfit(topic, kept + "namespace " + ns
                          + " has no deduplication; turn it on: stargate admin namespaces deduplication " + ns
                          + " --set true");
  if (const auto count = broker.partitions(topic); count && *count > 0)
    return unfit(topic, kept + "the topic has " + std::to_string(*count)
                          + " partitions, each of which numbers its messages by itself");
  return {};
}

caf::error why_not(tree_context& tree, const producer_options& o) {
  if (!o.encryption.empty()) // before 2.11 it does not know `encryptionParam`
    if (auto wrong = too_old(tree, o.topic, "encryption is set", 2, 11))
      return wrong;
  return o.effectively_once ? why_not_once(tree, o.topic) : caf::error{};
}

} // namespace

bool needs_check(const producer_options& o) {
  return o.effectively_once || !o.encryption.empty();
}

void check_fitness(const tree_context_ptr& tree, const producer_options& o, const caf::actor& answer_to) {
  run_apart(tree, [=] { post(answer_to, fitness_checked{why_not(*tree, o)}); });
}

} // namespace stargate::internal
