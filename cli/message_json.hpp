/// @file
/// A received message as JSON: what `--format json` prints, and what commands of `stargate run` can read.
#pragma once

#include <stargate/message.hpp>

#include <string>

namespace stargate::cli {

/// All of a message in one line; a payload that is not UTF-8 in base64.
[[nodiscard]] std::string json_of(const received_message& m);

/// All but the payload, with the topic.
[[nodiscard]] std::string json_without_payload(const received_message& m);

/// Properties as a JSON object.
[[nodiscard]] std::string json_of(const properties& p);

} // namespace stargate::cli
