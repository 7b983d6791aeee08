/// @file
/// The values of options as text, both ways: for errors, the documentation, command lines and query strings.
#pragma once

#include <stargate/options.hpp>

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <concepts>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace stargate::protocol {

/// A value of an enumeration: its name here, and Pulsar's in a query string (empty where Pulsar never sees it).
template <class Enum>
struct enum_name {
  Enum value;
  std::string_view ours;
  std::string_view pulsars;
};

template <class Enum>
inline constexpr std::array<enum_name<Enum>, 0> names_of{};
template <>
inline constexpr std::array names_of<url_scheme>{enum_name<url_scheme>{url_scheme::ws, "ws", ""},
                                                 enum_name<url_scheme>{url_scheme::wss, "wss", ""}};
template <>
inline constexpr std::array names_of<run_on>{enum_name<run_on>{run_on::own_thread, "own_thread", ""},
                                             enum_name<run_on>{run_on::scheduler, "scheduler", ""}};
template <>
inline constexpr std::array names_of<message_routing>{
  enum_name<message_routing>{message_routing::round_robin, "round_robin", "RoundRobinPartition"},
  enum_name<message_routing>{message_routing::single, "single", "SinglePartition"}};
template <>
inline constexpr std::array names_of<compression_type>{
  enum_name<compression_type>{compression_type::none, "none", "NONE"},
  enum_name<compression_type>{compression_type::lz4, "lz4", "LZ4"},
  enum_name<compression_type>{compression_type::zlib, "zlib", "ZLIB"},
  enum_name<compression_type>{compression_type::zstd, "zstd", "ZSTD"},
  enum_name<compression_type>{compression_type::snappy, "snappy", "SNAPPY"}};
template <>
inline constexpr std::array names_of<hashing_scheme>{
  enum_name<hashing_scheme>{hashing_scheme::java_string_hash, "java_string_hash", "JavaStringHash"},
  enum_name<hashing_scheme>{hashing_scheme::murmur3_32_hash, "murmur3_32_hash", "Murmur3_32Hash"}};
template <>
inline constexpr std::array names_of<subscription_type>{
  enum_name<subscription_type>{subscription_type::exclusive, "exclusive", "Exclusive"},
  enum_name<subscription_type>{subscription_type::failover, "failover", "Failover"},
  enum_name<subscription_type>{subscription_type::shared, "shared", "Shared"},
  enum_name<subscription_type>{subscription_type::key_shared, "key_shared", "Key_Shared"}};
template <>
inline constexpr std::array names_of<subscription_mode>{
  enum_name<subscription_mode>{subscription_mode::durable, "durable", "Durable"},
  enum_name<subscription_mode>{subscription_mode::non_durable, "non_durable", "NonDurable"}};
template <>
inline constexpr std::array names_of<initial_position>{
  enum_name<initial_position>{initial_position::latest, "latest", "Latest"},
  enum_name<initial_position>{initial_position::earliest, "earliest", "Earliest"}};
template <>
inline constexpr std::array names_of<failure_action>{
  enum_name<failure_action>{failure_action::crash, "crash", ""},
  enum_name<failure_action>{failure_action::nack, "nack", ""},
  enum_name<failure_action>{failure_action::dead_letter, "dead_letter", ""}};
template <>
inline constexpr std::array names_of<crypto_failure_action>{
  enum_name<crypto_failure_action>{crypto_failure_action::fail, "fail", "FAIL"},
  enum_name<crypto_failure_action>{crypto_failure_action::discard, "discard", "DISCARD"},
  enum_name<crypto_failure_action>{crypto_failure_action::consume, "consume", "CONSUME"}};

template <class T>
inline constexpr bool is_duration = false;
template <class Rep, class Period>
inline constexpr bool is_duration<std::chrono::duration<Rep, Period>> = true;
template <class T>
inline constexpr bool is_list = false;
template <class T>
inline constexpr bool is_list<std::vector<T>> = true;

/// A value for people to read.
template <class T>
[[nodiscard]] std::string text_of(const T& value) {
  if constexpr (std::is_same_v<T, std::string>)
    return value;
  else if constexpr (std::is_same_v<T, bool>)
    return value ? "true" : "false";
  else if constexpr (std::is_same_v<T, topic_name>)
    return to_string(value);
  else if constexpr (std::is_same_v<T, start_at>)
    return value.text();
  else if constexpr (std::is_same_v<T, host>)
    return (value.name.find(':') == std::string::npos ? value.name : "[" + value.name + "]") + ":"
           + std::to_string(value.port);
  else if constexpr (std::is_same_v<T, handler_factory> || std::is_same_v<T, token_source>)
    return value ? "set" : "not set";
  else if constexpr (std::is_same_v<T, encryption_key> || std::is_same_v<T, decryption_key>)
    return value.name;
  else if constexpr (std::is_same_v<T, backoff_options>)
    return std::to_string(value.first.count()) + ", " + std::to_string(value.most.count()) + ", "
           + std::to_string(value.stable.count());
  else if constexpr (is_list<T>) {
    std::string text;
    for (const auto& element : value)
      text += (text.empty() ? "" : ", ") + text_of(element);
    return text;
  } else if constexpr (is_duration<T>)
    return std::to_string(value.count());
  else if constexpr (std::is_enum_v<T>) {
    for (const auto& n : names_of<T>)
      if (n.value == value)
        return std::string{n.ours};
    return "?";
  } else if constexpr (std::is_floating_point_v<T>) {
    char buffer[32];
    const auto end = std::to_chars(buffer, buffer + sizeof buffer, value).ptr;
    return {buffer, end};
  } else
    return std::to_string(value);
}

/// A value as Pulsar has it in a query string.
template <class T>
[[nodiscard]] std::string parameter_of(const T& value) {
  if constexpr (std::is_enum_v<T>) {
    for (const auto& n : names_of<T>)
      if (n.value == value)
        return std::string{n.pulsars};
    return {};
  } else if constexpr (is_list<T>) { // Pulsar's lists have no blanks
    std::string text;
    for (const auto& element : value)
      text += (text.empty() ? "" : ",") + text_of(element);
    return text;
  } else
    return text_of(value);
}

/// What kind of value it is, for the documentation and for errors.
template <class T>
[[nodiscard]] std::string kind_of() {
  if constexpr (std::is_same_v<T, bool>)
    return "true, false";
  else if constexpr (std::is_same_v<T, topic_name>)
    return "topic";
  else if constexpr (std::is_same_v<T, start_at>)
    return "latest, earliest, or an id";
  else if constexpr (std::is_same_v<T, host>)
    return "host:port";
  else if constexpr (std::is_same_v<T, handler_factory>)
    return "handler";
  else if constexpr (std::is_same_v<T, token_source>)
    return "token";
  else if constexpr (std::is_same_v<T, encryption_key> || std::is_same_v<T, decryption_key>)
    return "NAME=FILE";
  else if constexpr (std::is_same_v<T, backoff_options>)
    return "first, most, stable in ms";
  else if constexpr (is_list<T>)
    return "list of " + kind_of<typename T::value_type>();
  else if constexpr (std::is_same_v<T, std::chrono::milliseconds>)
    return "ms";
  else if constexpr (std::is_same_v<T, std::chrono::seconds>)
    return "s";
  else if constexpr (std::is_enum_v<T>) {
    std::string text;
    for (const auto& n : names_of<T>)
      text.append(text.empty() ? "" : ", ").append(n.ours);
    return text;
  } else if constexpr (std::is_arithmetic_v<T>)
    return "number";
  else
    return "text";
}

template <class Number>
[[nodiscard]] bool parse_number(std::string_view text, Number& value) {
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), value);
  return !text.empty() && failure == std::errc{} && end == text.data() + text.size();
}

/// Reads a number with a unit, `500ms`, `10s`, `2min`, `1h` or `1d`, or a bare one, which is in `T`'s own unit. False also
/// for what `T` cannot hold exactly, such as half a second in whole ones.
template <class T>
[[nodiscard]] bool parse_duration(std::string_view text, T& value) {
  using std::chrono::milliseconds;
  struct unit {
    std::string_view name;
    milliseconds length;
  };
  constexpr std::array units{unit{"ms", milliseconds{1}}, unit{"s", milliseconds{1'000}},
                             unit{"min", milliseconds{60'000}}, unit{"h", milliseconds{3'600'000}},
                             unit{"d", milliseconds{86'400'000}}};
  const auto end = std::min(text.find_first_not_of("-0123456789"), text.size());
  typename T::rep count{};
  if (!parse_number(text.substr(0, end), count))
    return false;
  const auto name = text.substr(end);
  if (name.empty()) {
    value = T{count};
    return true;
  }
  const auto found = std::find_if(units.begin(), units.end(), [&](const unit& u) { return u.name == name; });
  constexpr typename T::rep most = std::numeric_limits<typename T::rep>::max() / 86'400'000;
  if (found == units.end() || count > most || count < -most)
    return false;
  const auto whole = count * found->length;
  value = std::chrono::duration_cast<T>(whole);
  return value == whole;
}

/// Reads `name`, `name:port` or `[address]:port`.
[[nodiscard]] bool parse_host(std::string_view text, host& value);

/// Reads a value as it stands on a command line or in a file. A list is one element, which is appended. False when it
/// is not one; nothing can be read into a handler.
template <class T>
[[nodiscard]] bool parse_value(const std::string& text, T& value) {
  if constexpr (std::is_same_v<T, std::string>) {
    value = text;
    return true;
  } else if constexpr (std::is_same_v<T, bool>) {
    value = text == "true" || text == "1" || text.empty();
    return value || text == "false" || text == "0";
  } else if constexpr (std::is_same_v<T, topic_name>) {
    auto parsed = parse_topic(text);
    if (parsed)
      value = std::move(*parsed);
    return static_cast<bool>(parsed);
  } else if constexpr (std::is_same_v<T, start_at>) {
    value = start_at{message_id{text}};
    return !text.empty();
  } else if constexpr (std::is_same_v<T, host>)
    return parse_host(text, value);
  else if constexpr (std::is_same_v<T, handler_factory> || std::is_same_v<T, token_source>)
    return false;
  else if constexpr (std::is_same_v<T, encryption_key> || std::is_same_v<T, decryption_key>) {
    const auto equals = text.find('=');
    if (equals == std::string::npos || equals == 0 || equals + 1 == text.size())
      return false;
    value = {text.substr(0, equals), key_source::file(text.substr(equals + 1))};
    return true;
  } else if constexpr (std::is_same_v<T, backoff_options>) {
    std::vector<std::chrono::milliseconds> times;
    for (std::size_t at = 0; at <= text.size();) {
      const auto comma = std::min(text.find(',', at), text.size());
      auto part = text.substr(at, comma - at);
      part.erase(0, part.find_first_not_of(' '));
      if (!parse_value(part, times.emplace_back()))
        return false;
      at = comma + 1;
    }
    if (times.size() != 3)
      return false;
    value = {times[0], times[1], times[2]};
    return true;
  } else if constexpr (is_list<T>) {
    typename T::value_type element{};
    if (!parse_value(text, element))
      return false;
    value.push_back(std::move(element));
    return true;
  } else if constexpr (is_duration<T>) {
    return parse_duration(text, value);
  } else if constexpr (std::is_enum_v<T>) {
    for (const auto& n : names_of<T>)
      if (n.ours == text || (!n.pulsars.empty() && n.pulsars == text)) {
        value = n.value;
        return true;
      }
    return false;
  } else
    return parse_number(text, value);
}

} // namespace stargate::protocol
