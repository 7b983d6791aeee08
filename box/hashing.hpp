/// @file
/// The hashes by which Pulsar chooses partitions and consumers.
#pragma once

#include <cstdint>
#include <string_view>

namespace stargate::box {

/// Java's `String.hashCode`, of text in ASCII or beyond, as a number that is not negative.
[[nodiscard]] std::int32_t java_string_hash(std::string_view text);
/// MurmurHash3, 32 bits, seed 0, as a number that is not negative.
[[nodiscard]] std::int32_t murmur3_32_hash(std::string_view bytes);

} // namespace stargate::box
