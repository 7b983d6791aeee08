/// @file
/// What the command says on standard error: for people, or as JSON, one object a line.
#pragma once

#include <stargate/log.hpp>

#include <cstdint>
#include <string_view>

namespace stargate::cli {

enum class log_format : std::uint8_t { text, json };

/// Set once, before anything is said.
void set_log(log_format format, log_level least);

/// Says it, if it is important enough. @param source who says it; empty: the command itself, whose words to its user are
/// said whatever the level is @par Threads any thread
void log(log_level level, std::string_view source, std::string_view text);

/// What came of the command: without its name before it, where it is for people. @par Threads any thread
void report(std::string_view text);

} // namespace stargate::cli
