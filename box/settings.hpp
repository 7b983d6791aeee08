/// @file
/// What stands in a handshake's query, read as Pulsar reads it.
#pragma once

#include "box/subscription.hpp"
#include "box/timers.hpp"

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>

namespace stargate::box {

/// The status and the text with which a handshake or a request is refused.
struct refusal : std::runtime_error {
  refusal(int status_, const std::string& text)
    : std::runtime_error{text},
      status{status_},
      is_the_brokers{status_ != 400 && status_ != 500} {}
  [[nodiscard]] static refusal of_broker(int status, const std::string& text) {
    refusal r{status, text};
    r.is_the_brokers = true;
    return r;
  }
  int status;
  bool is_the_brokers = true; ///< And not that of the WebSocket service in front of it.
};

using query = std::map<std::string, std::string>;

struct producer_settings {
  std::optional<std::string> name;
  std::optional<std::int64_t> initial_sequence;
  bool batches = false;
  std::size_t batch_messages = 1000;
  micros batch_delay = 1 * millisecond;
  std::size_t most_pending = 0; ///< 0 is no bound.
  bool round_robin = false;
  bool murmur = false;
  std::string encryption_keys; ///< As JSON, or nothing.
};

struct receiver_settings {
  subscription_type type = subscription_type::exclusive;
  bool durable = true;
  bool earliest = false;
  std::size_t queue = 1000;
  std::string name;
  int priority = 0;
  micros ack_timeout = 0; ///< 0 is none.
  micros nack_delay = 60 * second;
  int most_redeliveries = 0; ///< 0 is no dead letters.
  std::string dead_letters;  ///< A topic; empty for the one that is named after topic and subscription.
  bool pulls = false;
};

/// @throws refusal with 400, as Pulsar's, when a value is none
[[nodiscard]] producer_settings read_producer(const query& q);
[[nodiscard]] receiver_settings read_consumer(const query& q);
[[nodiscard]] receiver_settings read_reader(const query& q);

} // namespace stargate::box
