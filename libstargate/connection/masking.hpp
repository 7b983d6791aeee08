/// @file
/// A client's text frames as they are on the wire: RFC 6455, section 5.
#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

namespace stargate::connection {

/// The longest header: two bytes, eight for the length, four for the mask.
inline constexpr std::size_t most_header = 14;

/// Appends `text` as one whole frame, masked with four bytes that nobody can foresee.
void append_masked_frame(std::vector<unsigned char>& out, std::string_view text);

} // namespace stargate::connection
