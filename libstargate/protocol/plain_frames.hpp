/// @file
/// Frames as brokers write them are read where they stand, without a document of them: a tenth of the work. That is JSON
/// without space between its tokens, whose texts are ASCII without escapes. Whatever else JSON can be, RapidJSON reads.
#pragma once

#include "libstargate/protocol/frames.hpp"

#include <optional>
#include <string_view>

namespace stargate::protocol {

/// Reads the receipt of a message that is stored. @returns nothing where the frame is not of that form or says something
/// else: `decode_receipt` knows what
[[nodiscard]] std::optional<receipt> read_plain_receipt(std::string_view frame);

/// A message, but for its payload.
struct plain_delivery {
  received_message message;
  std::string_view payload; ///< In base64, within the frame; it may be none, but has no escapes.
};

/// Reads a message. @returns nothing where the frame is not of that form or says something else: `decode_delivery` knows
/// what
[[nodiscard]] std::optional<plain_delivery> read_plain_delivery(std::string_view frame);

/// The key of a message.
struct plain_key {
  std::optional<std::string_view> key; ///< Within the frame; nothing where the message has none.
};

/// Reads a message's key alone. @returns nothing where the frame is not of that form; of a frame that is no message,
/// anything
[[nodiscard]] std::optional<plain_key> read_plain_key(std::string_view frame);

} // namespace stargate::protocol
