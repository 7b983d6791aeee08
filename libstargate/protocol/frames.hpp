/// @file
/// The frames of Pulsar's WebSocket API: JSON text, payloads in base64.
#pragma once

#include <stargate/message.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <variant>

namespace stargate::protocol {

/// The largest frame that a broker takes by default; a larger one makes it close the connection.
inline constexpr std::size_t max_frame_size = 1'048'576;

/// Encodes a message to produce. The context on the wire is `sequence`: the receipt brings it back.
/// @par Errors errc::invalid_message when the key or a property is not UTF-8; errc::message_too_large when the frame
/// would be larger than `max_frame_size`.
[[nodiscard]] caf::expected<std::string> encode_message(const message& content, std::uint64_t sequence);

/// The broker's answer to a message that was produced.
struct receipt {
  std::uint64_t sequence = 0;
  message_id id;       ///< Empty when the broker refused the message.
  std::string failure; ///< What the broker said; empty when it stored the message.
};

/// A receipt that does not say which message it is for: the frame it answers could not be read.
struct nameless_failure {
  std::string failure;
};

/// Reads what a broker sends to a producer; leaves `frame` in pieces.
/// @par Errors errc::protocol_violation when it is not what a broker sends.
[[nodiscard]] caf::expected<std::variant<receipt, nameless_failure>> decode_receipt(std::string& frame);

/// The answer to `isEndOfTopic`.
struct end_of_topic {
  bool reached = false;
};

/// Reads what a broker sends to a consumer or reader; leaves `frame` in pieces. The message has no origin yet.
/// @par Errors errc::protocol_violation when it is not what a broker sends.
[[nodiscard]] caf::expected<std::variant<received_message, end_of_topic>> decode_delivery(std::string& frame);

/// Acknowledges a message; to a reader, frees its place in the queue.
[[nodiscard]] std::string encode_acknowledgement(const message_id& id);
/// Asks for a message to be delivered again.
[[nodiscard]] std::string encode_negative_acknowledgement(const message_id& id);

/// An instant as ISO 8601 in UTC with milliseconds: `2026-01-31T12:00:00.000Z`.
[[nodiscard]] std::string format_instant(std::chrono::system_clock::time_point instant);
/// Reads ISO 8601 with a zone, down to milliseconds. False when it is not that.
[[nodiscard]] bool parse_instant(std::string_view text, std::chrono::system_clock::time_point& instant);

} // namespace stargate::protocol
