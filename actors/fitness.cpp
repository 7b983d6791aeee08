#include "actors/fitness.hpp"

#include "actors/apart.hpp"
#include "actors/messages.hpp"

#include <stargate/admin.hpp>

#include <charconv>

namespace stargate::internal {

namespace {

constexpr std::chrono::milliseconds patience{10'000};

caf::error unfit(const topic_name& topic, const std::string& why) {
  return make_error(errc::invalid_option, to_string(topic) + ": " + why);
}

// Pulsar before 4.0 does not know `subscriptionInitialPosition`, before 2.11 not `encryptionParam`.
caf::error too_old(site& tree, const topic_name& topic, const char* what, unsigned major, unsigned minor) {
  const auto version = tree.broker_version();
  if (!version || !is_before(*version, major, minor))
    return {};
  return unfit(topic, std::string{what} + ", which the broker, Pulsar " + *version
                        + ", silently does not do by WebSocket; it takes " + std::to_string(major) + "."
                        + std::to_string(minor) + " or later");
}

bool broker_deduplicates(const admin& broker) {
  const auto configuration = broker.request("GET", "brokers/configuration/runtime");
  return configuration && configuration->find(R"("brokerDeduplicationEnabled":"true")") != std::string::npos;
}

caf::error why_not_once(site& tree, const topic_name& topic) {
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

caf::error why_not(site& tree, const producer_options& o) {
  if (!o.encryption.empty())
    if (auto wrong = too_old(tree, o.topic, "encryption is set", 2, 11))
      return wrong;
  return o.effectively_once ? why_not_once(tree, o.topic) : caf::error{};
}

// The broker begins all partitions behind one message's id: after a lost connection nobody knows where to go on in the
// others.
caf::error why_not_read(site& tree, const topic_name& topic) {
  const auto count = tree.world->make_admin(tree.description, patience).partitions(topic);
  if (!count || *count == 0)
    return {};
  return unfit(topic, "the topic has " + std::to_string(*count)
                        + " partitions, and a reader can go on after a lost connection in one only: read each by a "
                          "reader of its own, from "
                        + topic.topic + "-partition-0 on, or use a consumer");
}

caf::error why_not(site& tree, const pipeline& p) {
  const auto topic = p.keys.topic();
  if (p.position)
    return why_not_read(tree, topic);
  if (p.from_earliest)
    if (auto wrong = too_old(tree, topic, "position is earliest", 4, 0))
      return wrong;
  return p.decrypts->has_keys() ? too_old(tree, topic, "decryption_keys are set", 2, 11) : caf::error{};
}

} // namespace

bool needs_check(const producer_options& o) {
  return o.effectively_once || !o.encryption.empty();
}

bool needs_check(const pipeline& p) {
  return p.position || p.from_earliest || p.decrypts->has_keys();
}

void check_fitness(const site_ptr& tree, const producer_options& o, const caf::actor& answer_to) {
  run_apart(tree, [=] { post(answer_to, fitness_checked{why_not(*tree, o)}); });
}

void check_fitness(const site_ptr& tree, const pipeline_ptr& p, const caf::actor& answer_to) {
  if (!p->position && tree->knows_broker_version()) // then nothing blocks
    return post(answer_to, fitness_checked{why_not(*tree, *p)});
  run_apart(tree, [=] { post(answer_to, fitness_checked{why_not(*tree, *p)}); });
}

bool is_before(std::string_view version, unsigned major, unsigned minor) {
  unsigned of_it[2] = {};
  const auto* at = version.data();
  const auto* const end = at + version.size();
  for (auto& number : of_it) {
    const auto read = std::from_chars(at, end, number);
    if (read.ec != std::errc{})
      return false;
    at = read.ptr != end && *read.ptr == '.' ? read.ptr + 1 : end;
  }
  return of_it[0] != major ? of_it[0] < major : of_it[1] < minor;
}

} // namespace stargate::internal
