/// @file
/// The frames of Pulsar's WebSocket API: JSON text, payloads in base64.
#pragma once

#include "libstargate/protocol/frame_text.hpp"

#include <stargate/message.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

namespace stargate::protocol {

class encryptor;

/// The largest frame that a broker takes by default; a larger one makes it close the connection.
inline constexpr std::size_t max_frame_size = 1'048'576;

/// Encodes a message to produce, but for its payload, which is encoded where the frame is written. The context on the
/// wire is `sequence`: the receipt brings it back.
/// @par Errors errc::invalid_message when the key or a property is not UTF-8; errc::message_too_large when the frame
/// would be larger than `max_frame_size`; errc::crypto_failed when it is to be encrypted, and that fails.
[[nodiscard]] caf::expected<frame_text> encode_message(message content, std::uint64_t sequence,
                                                       const encryptor* encrypts = nullptr);

/// The broker's answer to a message that was produced.
struct receipt {
  std::uint64_t sequence = 0;
  message_id id;       ///< Empty when the broker refused the message.
  std::string failure; ///< What the broker said; empty when it stored the message.
};

/// Whether a failure is about the producer that the broker has behind the connection, and not about the message: that
/// is not stored, and no other is either, until there is a new connection. @par Source Pulsar's ProducerImpl, which
/// refuses so what it is given after its end: its topic was deleted or moved, or another producer took its place
[[nodiscard]] bool is_end_of_producer(std::string_view failure);

/// A receipt that does not say which message it is for: the frame it answers could not be read.
struct nameless_failure {
  std::string failure;
};

/// Reads what a broker sends to a producer; leaves `frame` in pieces.
/// @par Errors errc::protocol_violation when it is not what a broker sends.
[[nodiscard]] caf::expected<std::variant<receipt, nameless_failure>> decode_receipt(std::string& frame);

/// A message that was larger than this side takes: what is left of it.
struct oversized_message {
  message_id id;
  std::uint64_t size = 0; ///< Of its frame, in bytes, at least.
};

/// What takes the place of a delivery that is too large: `decode_delivery` gives an `oversized_message` for it. Nothing
/// when its beginning does not say which message it is.
[[nodiscard]] std::optional<std::string> stand_in_for_oversized(std::string_view beginning, std::uint64_t size);

/// The answer to `isEndOfTopic`.
struct end_of_topic {
  bool reached = false;
};

/// Reads what a broker sends to a consumer or reader; leaves `frame` in pieces. The message has no origin yet.
/// @par Errors errc::protocol_violation when it is not what a broker sends.
[[nodiscard]] caf::expected<std::variant<received_message, end_of_topic, oversized_message>>
decode_delivery(std::string& frame);

/// `decode_delivery` of an `end_of_topic` alone; nothing when the frame is something else, which is then left whole.
[[nodiscard]] std::optional<bool> decode_end_of_topic(const std::string& frame);

/// The key of a message as a broker sends it to a consumer, without decoding the rest; nothing if it has none.
[[nodiscard]] std::optional<std::string> key_of(const std::string& frame);

/// Acknowledges a message; to a reader, frees its place in the queue.
[[nodiscard]] std::string encode_acknowledgement(const message_id& id);
/// Asks for a message to be delivered again.
[[nodiscard]] std::string encode_negative_acknowledgement(const message_id& id);

/// In pull mode, lets the broker send so many messages more.
[[nodiscard]] std::string encode_permit(std::size_t messages);
/// Asks whether a terminated topic has been read to its end.
[[nodiscard]] std::string encode_is_end_of_topic();
/// Gives up the subscription.
[[nodiscard]] std::string encode_unsubscribe();

} // namespace stargate::protocol
