#include "box/settings.hpp"

#include "libstargate/protocol/base64.hpp"

#include <algorithm>
#include <charconv>
#include <limits>

namespace stargate::box {

namespace {

[[noreturn]] void refuse(const std::string& why) {
  throw refusal{400, "Invalid query params: " + why};
}

const std::string* find(const query& q, const std::string& name) {
  const auto found = q.find(name);
  return found == q.end() ? nullptr : &found->second;
}

template <class Number>
Number number(const std::string& text) {
  Number value{};
  const auto* begin = text.data() + (text.starts_with('+') ? 1 : 0);
  const auto [end, failure] = std::from_chars(begin, text.data() + text.size(), value);
  if (failure != std::errc{} || end != text.data() + text.size())
    refuse("For input string: \"" + text + "\"");
  return value;
}

/// A number that is not negative; `words` is how Pulsar calls it.
template <class Number>
void read(const query& q, const std::string& name, const std::string& words, Number& into) {
  if (const auto* text = find(q, name)) {
    const auto value = number<std::int32_t>(*text);
    if (value < 0)
      refuse(words + " needs to be >= 0");
    into = static_cast<Number>(value);
  }
}

void check_name(const query& q, const std::string& name, std::initializer_list<const char*> all) {
  if (const auto* text = find(q, name))
    if (std::none_of(all.begin(), all.end(), [&](const char* one) { return *text == one; }))
      refuse("Invalid " + name + " " + *text);
}

void check_not_blank(const std::string& name, const std::string& value) {
  if (value.find_first_not_of(" \t") == std::string::npos)
    refuse(name + " cannot be blank");
}

bool is_true(const query& q, const std::string& name) {
  const auto* text = find(q, name);
  return text != nullptr && text->size() == 4
         && std::equal(text->begin(), text->end(), "true", [](char a, char b) { return (a | 0x20) == b; });
}

} // namespace

producer_settings read_producer(const query& q) {
  producer_settings s;
  if (const auto* name = find(q, "producerName")) {
    check_not_blank("producerName", *name);
    s.name = *name;
  }
  if (const auto* text = find(q, "initialSequenceId"))
    s.initial_sequence = number<std::int64_t>(*text);
  if (const auto* text = find(q, "hashingScheme")) {
    if (*text != "JavaStringHash" && *text != "Murmur3_32Hash")
      refuse("No enum constant org.apache.pulsar.client.api.HashingScheme." + *text);
    s.murmur = *text == "Murmur3_32Hash";
  }
  std::int64_t timeout = 0;
  read(q, "sendTimeoutMillis", "sendTimeout", timeout);
  s.batches = is_true(q, "batchingEnabled");
  if (s.batches) {
    std::int64_t messages = 1000;
    std::int64_t delay = 1;
    if (const auto* text = find(q, "batchingMaxMessages"))
      messages = number<std::int32_t>(*text);
    read(q, "maxPendingMessages", "maxPendingMessages", s.most_pending);
    if (const auto* text = find(q, "batchingMaxPublishDelay"))
      delay = number<std::int32_t>(*text);
    s.batch_messages = messages <= 0 ? std::numeric_limits<std::size_t>::max() : static_cast<std::size_t>(messages);
    s.batch_delay = std::max<std::int64_t>(delay, 1) * millisecond;
  }
  check_name(q, "messageRoutingMode", {"SinglePartition", "RoundRobinPartition", "CustomPartition"});
  s.round_robin = q.contains("messageRoutingMode") && q.at("messageRoutingMode") == "RoundRobinPartition";
  check_name(q, "compressionType", {"NONE", "LZ4", "ZLIB", "ZSTD", "SNAPPY"});
  if (const auto* keys = find(q, "encryptionKeys")) {
    if (!protocol::decode_base64(*keys, s.encryption_keys) || !s.encryption_keys.starts_with('{'))
      throw refusal{500, "Failed to create producer/consumer: Can't add encryption key without configuring "
                         "cryptoKeyReaderFactoryClassName"};
    s.batches = false;
  }
  return s;
}

receiver_settings read_consumer(const query& q) {
  receiver_settings s;
  if (const auto* text = find(q, "ackTimeoutMillis")) {
    const auto time = number<std::int32_t>(*text);
    if (time < 0 || (time > 0 && time < 1000))
      refuse("Ack timeout should be greater than 1000 ms");
    s.ack_timeout = time * millisecond;
  }
  check_name(q, "subscriptionType", {"Exclusive", "Shared", "Failover", "Key_Shared"});
  if (const auto* text = find(q, "subscriptionType"))
    for (const auto type : {subscription_type::exclusive, subscription_type::shared, subscription_type::failover,
                            subscription_type::key_shared})
      if (name_of(type) == *text)
        s.type = type;
  check_name(q, "subscriptionMode", {"Durable", "NonDurable"});
  s.durable = !q.contains("subscriptionMode") || q.at("subscriptionMode") == "Durable";
  check_name(q, "subscriptionInitialPosition", {"Latest", "Earliest"});
  s.earliest = q.contains("subscriptionInitialPosition") && q.at("subscriptionInitialPosition") == "Earliest";
  if (q.contains("receiverQueueSize")) {
    read(q, "receiverQueueSize", "receiverQueueSize", s.queue);
    s.queue = std::min<std::size_t>(s.queue, 1000);
  }
  if (const auto* name = find(q, "consumerName")) {
    check_not_blank("consumerName", *name);
    s.name = *name;
  }
  read(q, "priorityLevel", "priorityLevel", s.priority);
  if (q.contains("negativeAckRedeliveryDelay")) {
    std::int64_t delay = 0;
    read(q, "negativeAckRedeliveryDelay", "redeliveryDelay", delay);
    s.nack_delay = delay * millisecond;
  }
  if (q.contains("maxRedeliverCount") || q.contains("deadLetterTopic")) {
    if (const auto* text = find(q, "maxRedeliverCount"))
      s.most_redeliveries = number<std::int32_t>(*text);
    if (s.most_redeliveries <= 0)
      refuse("MaxRedeliverCount must be > 0.");
    if (const auto* topic = find(q, "deadLetterTopic"))
      s.dead_letters = *topic;
  }
  s.pulls = is_true(q, "pullMode");
  return s;
}

receiver_settings read_reader(const query& q) {
  receiver_settings s;
  s.durable = false;
  if (const auto* text = find(q, "receiverQueueSize")) {
    std::int32_t size = 0;
    try {
      size = number<std::int32_t>(*text);
    } catch (const refusal&) {
      throw refusal{500, "java.lang.NumberFormatException: For input string: \"" + *text + '"'};
    }
    if (size < 0)
      throw refusal{500, "Failed to create reader: receiverQueueSize needs to be >= 0"};
    s.queue = static_cast<std::size_t>(std::min(size, 1000));
  }
  if (const auto* name = find(q, "readerName"))
    s.name = *name;
  return s;
}

} // namespace stargate::box
