/// @file
/// A consumer or a reader, as its actors see it: what both have in common, taken from their options.
#pragma once

#include "actors/shared/roles.hpp"
#include "actors/shared/tree_context.hpp"
#include "libstargate/protocol/crypto.hpp"
#include "libstargate/protocol/option_table.hpp"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

namespace stargate::internal {

struct receiver {
  role_keys keys;
  std::size_t processors;
  handler_factory handler;
  std::size_t max_demand;
  std::size_t min_demand;
  stargate::run_on run_on;
  failure_action on_failure;
  std::chrono::milliseconds handler_timeout;
  std::size_t batch_size;
  std::chrono::milliseconds batch_delay;
  std::chrono::milliseconds ack_group_time;
  bool partition_by_key;
  double rate_limit;
  std::size_t receiver_queue_size; ///< Of the broker: it sends no more than that without acknowledgements.
  std::chrono::milliseconds ack_timeout{0};
  bool pull_mode = false;
  bool many_topics = false;
  bool from_earliest = false;
  crypto_failure_action on_crypto_failure;
  std::shared_ptr<const protocol::decryptor> decrypts; ///< Null without keys.
  topic_name dead_letters;                             ///< Where `failure_action::dead_letter` puts messages,
  std::string dead_letter_subscription;                ///< and the subscription that keeps them there.
  std::vector<topic_name> topics;                      ///< Those that are known by name.
  std::string name_at_broker;                       ///< Of the consumer or reader; empty when it has none of its own.
  std::function<caf::expected<std::string>()> path; ///< Of the handshake; for the acknowledger only.
  /// Of a reader: the id of the last message up to which all were acknowledged, or where it starts. It outlives the
  /// reader's actors, and belongs to the acknowledger, of which there is one at a time. Empty for a consumer.
  std::shared_ptr<std::string> position;

  /// A part of what may be unacknowledged, so that the broker does not wait for acknowledgements that wait here.
  [[nodiscard]] std::size_t ack_group_size() const { return std::max<std::size_t>(1, receiver_queue_size / 10); }

  template <class Options>
  receiver(role_keys k, const Options& o, std::function<caf::expected<std::string>()> p,
           std::shared_ptr<std::string> at = {}, std::string name = {})
    : keys{std::move(k)},
      processors{o.processors},
      handler{o.handler},
      max_demand{o.max_demand},
      min_demand{o.min_demand},
      run_on{o.run_on},
      on_failure{o.on_failure},
      handler_timeout{o.handler_timeout},
      batch_size{o.batch_size},
      batch_delay{o.batch_delay},
      ack_group_time{o.ack_group_time},
      partition_by_key{o.partition_by_key},
      rate_limit{o.rate_limit},
      receiver_queue_size{o.receiver_queue_size.value_or(1000)},
      on_crypto_failure{o.crypto_failure_action.value_or(crypto_failure_action::fail)},
      dead_letters{protocol::dead_letter_topic_of(o)},
      dead_letter_subscription{o.dead_letter_subscription},
      topics{o.topic},
      name_at_broker{std::move(name)},
      path{std::move(p)},
      position{std::move(at)} {
    if constexpr (requires { o.pull_mode; }) {
      pull_mode = o.pull_mode;
      ack_timeout = o.ack_timeout.value_or(std::chrono::milliseconds{0});
      if (!o.decryption_keys.empty())
        decrypts = std::make_shared<const protocol::decryptor>(o.decryption_keys);
      from_earliest = o.position == initial_position::earliest;
      many_topics = o.topic.topic.empty();
      if (many_topics)
        topics = o.topics;
    }
  }
};

using receiver_ptr = std::shared_ptr<const receiver>;

} // namespace stargate::internal
