/// @file
/// The bulk of base64, 32 characters at a time where the processor has AVX2. What is left over is the caller's.
#pragma once

#include <cstddef>
#include <string_view>

namespace stargate::protocol {

/// Encodes whole groups of three bytes from the beginning, as many as go fast; none where there is no AVX2.
/// @param to has room for all of it @return how many bytes were encoded
/// @par Source Muła and Lemire, Faster Base64 Encoding and Decoding using AVX2 Instructions, 2018
[[nodiscard]] std::size_t encode_bulk(std::string_view bytes, char* to);

/// Decodes whole groups of four characters from the beginning, likewise, up to where one is not of the alphabet.
/// @param to has room for all of it @return how many characters were decoded
[[nodiscard]] std::size_t decode_bulk(std::string_view text, char* to);

} // namespace stargate::protocol
