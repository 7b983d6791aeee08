#include "actors/deduplication.hpp"

#include "actors/apart.hpp"
#include "actors/messages.hpp"

#include <stargate/admin.hpp>

namespace stargate::internal {

namespace {

constexpr std::chrono::milliseconds patience{10'000};

bool broker_deduplicates(const admin& broker) {
  const auto configuration = broker.request("GET", "brokers/configuration/runtime");
  return configuration && configuration->find(R"("brokerDeduplicationEnabled":"true")") != std::string::npos;
}

/// Nothing when it can be relied on, or nobody lets us ask: then that is said.
caf::error why_not(const site& tree, const topic_name& topic) {
  const auto broker = tree.world->make_admin(tree.description, patience);
  const auto ns = topic.tenant + "/" + topic.ns;
  const auto place = to_string(topic) + ": effectively_once cannot be kept: ";
  const auto on = broker.deduplication(ns);
  if (!on) {
    tree.say(log_level::warning, to_string(topic),
             "effectively_once: whether namespace " + ns
               + " has deduplication could not be asked: " + describe(on.error()));
    return {};
  }
  if (!on->value_or(false) && (on->has_value() || !broker_deduplicates(broker)))
    return make_error(errc::invalid_option, place + "namespace " + ns
                                              + " has no deduplication; turn it on: stargate admin namespaces "
                                                "deduplication "
                                              + ns + " --set true");
  if (const auto count = broker.partitions(topic); count && *count > 0)
    return make_error(errc::invalid_option, place + "the topic has " + std::to_string(*count)
                                              + " partitions, each of which numbers its messages by itself");
  return {};
}

} // namespace

void check_deduplication(const site_ptr& tree, const topic_name& topic, const caf::actor& answer_to) {
  run_apart(tree, [=] { post(answer_to, deduplication_checked{why_not(*tree, topic)}); });
}

} // namespace stargate::internal
