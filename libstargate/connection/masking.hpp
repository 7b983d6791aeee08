/// @file
/// A client's frames as they are on the wire: RFC 6455, section 5.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace stargate::connection {

enum class opcode : std::uint8_t { continuation = 0x0, text = 0x1, binary = 0x2, close = 0x8, ping = 0x9, pong = 0xA };

/// The longest header: two bytes, eight for the length, four for the mask.
inline constexpr std::size_t most_header = 14;

/// Appends `payload` as one whole frame, masked with four bytes that nobody can foresee.
void append_masked_frame(std::vector<unsigned char>& out, std::string_view payload, opcode kind = opcode::text);

} // namespace stargate::connection
