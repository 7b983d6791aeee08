/// @file
/// Messages as they are produced and as they are received.
#pragma once

#include <stargate/caf.hpp>
#include <stargate/export.hpp>
#include <stargate/key.hpp>

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace STARGATE_API stargate {

/// The id that the broker gives a stored message: base64 text, opaque, and ordered only by the broker.
struct message_id {
  std::string value; ///< Base64.

  /// The same message has the same id.
  friend bool operator==(const message_id&, const message_id&) = default;
};

/// A message's properties, by name.
using properties = std::map<std::string, std::string>;

/// A message to produce: `{.payload = "…"}`, with what else it needs.
struct message {
  std::string payload = {}; ///< Any bytes, NULs included; may be empty.
  /// In place of `payload`: bytes that many messages have in common, and of which none makes a copy.
  std::shared_ptr<const std::string> shared_payload = {};
  std::optional<std::string> key = {};     ///< UTF-8. Orders and routes messages on partitioned topics.
  std::optional<std::string> context = {}; ///< Comes back in the answer, and is not stored.
  stargate::properties properties = {};    ///< UTF-8 names and values.
  std::optional<std::chrono::system_clock::time_point> event_time = {}; ///< When it happened, in milliseconds.

  /// Shared and Key_Shared subscriptions get it at this time at the earliest, the others at once.
  std::optional<std::chrono::system_clock::time_point> deliver_at = {};
  /// The same, counted from when the broker takes the message.
  std::optional<std::chrono::milliseconds> deliver_after = {};
  std::vector<std::string> replication_clusters = {}; ///< Empty: those of the namespace.

  /// The payload, its own or the shared one.
  [[nodiscard]] std::string_view bytes() const { return shared_payload ? *shared_payload : payload; }
};

/// A message with a key, for those who think of messages as pairs of key and payload.
[[nodiscard]] inline message keyed(std::string key, std::string payload) {
  return {.payload = std::move(payload), .key = std::move(key)};
}

/// How a message came to this process: by which connection of which consumer or reader.
struct delivery {
  caf::actor acknowledger; ///< Sends the acknowledgements of this consumer or reader.
  std::uint64_t connection =
    0; ///< Counts connections: an acknowledgement goes out by the one that brought the message.
  std::shared_ptr<const topic_name> topic; ///< What `received_message::topic` gives.
  bool many_topics = false;                ///< The messages are of several topics, and none says of which.
};

/// How a message was encrypted, where it could not be decrypted on this side.
struct encryption_context {
  /// A data key, as it was encrypted for one owner of a private key.
  struct key {
    std::string value;             ///< The message's key, encrypted for the owner of this one; any bytes.
    stargate::properties metadata; ///< What the producer said about that key.
  };
  std::map<std::string, key> keys;        ///< By the name of the owner's key.
  std::string param;                      ///< The initialization vector; any bytes.
  std::string algorithm;                  ///< As the producer named it; empty for Pulsar's own.
  std::string compression;                ///< How the plain text was compressed; empty or `NONE` if it was not.
  std::uint32_t uncompressed_size = 0;    ///< Bytes of the plain text before it was compressed.
  std::optional<std::int32_t> batch_size; ///< Set when the plain text is a batch of messages.
};

/// A message as a consumer or reader received it. One that a test makes itself has no `origin`: its topic is empty, and
/// acknowledging it does nothing.
struct received_message {
  message_id id = {};                   ///< For `admin`, `reader_options::start`, and telling it apart.
  std::string payload = {};             ///< The bytes as they were produced.
  std::optional<std::string> key = {};  ///< As it was produced.
  stargate::properties properties = {}; ///< As they were produced.
  std::chrono::system_clock::time_point publish_time = {};              ///< When the broker took it, in milliseconds.
  std::optional<std::chrono::system_clock::time_point> event_time = {}; ///< As it was produced.
  std::shared_ptr<const encryption_context> encryption = {};            ///< Set when the payload is still encrypted.
  std::uint32_t redelivery_count = 0; ///< How often the broker delivered it before; kept on shared subscriptions only.
  std::uint64_t sequence = 0;         ///< Counts what this connection delivered.
  std::shared_ptr<const delivery> origin = {}; ///< By which it is acknowledged.

  /// The topic that the consumer or reader is on; on a consumer of several topics, the name it is registered under,
  /// since no frame of the API says which topic a message is of.
  [[nodiscard]] const topic_name& topic() const;

  /// Acknowledges the message, where the handler answered `continue_`.
  /// The acknowledgement goes out by the connection that brought the message; if that is gone, so is the
  /// acknowledgement, and the broker delivers the message again.
  /// @par Threads any thread
  void acknowledge() const;

  /// Acknowledges this message and every one that the same connection delivered before it: cumulative
  /// acknowledgement. Those that other processors still have in hand are acknowledged when their handlers have said
  /// `continue_`; those that `produce_and_ack` has under way, when what was made of them is stored. On a consumer of
  /// several topics, only the message itself.
  /// @par Threads any thread
  void acknowledge_up_to() const;

  /// Asks the broker to deliver the message again, after the subscription's delay. A reader ignores it.
  /// @par Threads any thread
  void negative_acknowledge() const;
};

/// The answer to a message that was produced with an actor to answer to; it comes exactly once for each.
struct produced {
  std::string context; ///< As it was given with the message; empty if none was.
  caf::error failure;  ///< Empty when the broker has stored the message.
  message_id id;       ///< Set when the broker has stored the message.
};

} // namespace stargate
