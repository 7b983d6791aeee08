/// @file
/// Standard base64: its bulk by vectors, the rest by OpenSSL.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace stargate::protocol {

/// How many characters the encoding of `bytes` bytes has.
[[nodiscard]] constexpr std::size_t base64_size(std::size_t bytes) {
  return (bytes + 2) / 3 * 4;
}

/// Writes the encoding of `bytes` to a place with room for it and for one character more.
void write_base64(char* to, std::string_view bytes);

/// Appends the encoding of `bytes` to `out`.
void append_base64(std::string& out, std::string_view bytes);

/// Decodes `text` into `out`, which it replaces. False when `text` is not base64 with its padding.
[[nodiscard]] bool decode_base64(std::string_view text, std::string& out);

/// Decodes a part of `text`, which the bytes then take the place of, all of it. False when the part is not base64.
[[nodiscard]] bool decode_base64_in_place(std::string& text, std::size_t at, std::size_t size);

} // namespace stargate::protocol
