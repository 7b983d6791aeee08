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

} // namespace stargate::protocol
