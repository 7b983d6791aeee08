/// @file
/// The description of a tree in JSON, as `stargate run` takes it.
#pragma once

#include <stargate/error.hpp>
#include <stargate/options.hpp>

#include <functional>
#include <optional>
#include <string>

namespace stargate::cli {

/// Makes a handler of a shell command, and of the topic to which its output is produced.
using handler_maker = std::function<handler_factory(std::string command, std::optional<topic_name> produce_to)>;

/// Adds what a description says to options.
/// @param file for errors
/// @par Errors errc::invalid_option with every mistake in it
[[nodiscard]] caf::error read_description(const std::string& text, const std::string& file, options& into,
                                          const handler_maker& make_handler);

} // namespace stargate::cli
