/// @file
/// Instants as Pulsar writes them.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

namespace stargate::protocol {

/// An instant as ISO 8601 in UTC with milliseconds: `2026-01-31T12:00:00.000Z`.
[[nodiscard]] std::string format_instant(std::chrono::system_clock::time_point instant);
/// Reads ISO 8601 with a zone, down to milliseconds. False when it is not that.
[[nodiscard]] bool parse_instant(std::string_view text, std::chrono::system_clock::time_point& instant);

} // namespace stargate::protocol
