/// @file
/// What Pulsar leaves to Java's libraries, as far as it is seen on the wire.
#pragma once

#include "libstargate/protocol/json.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace stargate::box {

/// Puts `text`, which is base64 as Java's decoder takes it, with or without its padding, as base64 with it into `out`.
/// Gives what Java says when it is none.
[[nodiscard]] std::optional<std::string> normalize_base64(std::string_view text, std::string& out);

/// A JSON value as Jackson makes a text of it: numbers and truths are texts as well. Nothing for null and what is not
/// there. @throws std::invalid_argument when it is an object or a list
[[nodiscard]] std::optional<std::string> text_member(const rapidjson::Value& object, const char* name);
/// @throws std::invalid_argument when it is no number, or more than the type holds
template <class Number>
[[nodiscard]] std::optional<Number> number_member(const rapidjson::Value& object, const char* name);
extern template std::optional<std::int32_t> number_member(const rapidjson::Value&, const char*);
extern template std::optional<std::int64_t> number_member(const rapidjson::Value&, const char*);

/// Parses a frame: an object, and whatever follows it. @throws std::invalid_argument
void parse_frame(std::string& text, protocol::json::document& into);

} // namespace stargate::box
