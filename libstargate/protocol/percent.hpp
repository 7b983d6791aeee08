/// @file
/// Percent-encoding of the parts of URLs and keys.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace stargate::protocol {

/// `text` with everything but RFC 3986's unreserved characters encoded.
[[nodiscard]] std::string percent_encode(std::string_view text);

/// The reverse; nothing when a `%` is not followed by two hexadecimal digits.
[[nodiscard]] std::optional<std::string> percent_decode(std::string_view text);

} // namespace stargate::protocol
