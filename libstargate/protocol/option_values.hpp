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

template <class Number>
[[nodiscard]] bool parse_number(std::string_view text, Number& value) {
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), value);
  return !text.empty() && failure == std::errc{} && end == text.data() + text.size();
}

/// What there is to say of a type that options have: `kind`, for the documentation and for errors; `text`, a value for
/// people to read; `parse`, which reads a value as it stands on a command line or in a file, and is missing where none
/// can be read; `expected`, what an error says a text must be, where that is not the kind; `parameter`, a value as Pulsar
/// has it in a query string, where that is not its text.
template <class T>
struct option_type;

template <class T>
[[nodiscard]] std::string kind_of() {
  return option_type<T>::kind();
}

/// What an error says a text must be.
template <class T>
[[nodiscard]] std::string expected_of() {
  if constexpr (requires { option_type<T>::expected(); })
    return option_type<T>::expected();
  else
    return kind_of<T>();
}

template <class T>
[[nodiscard]] std::string text_of(const T& value) {
  return option_type<T>::text(value);
}

template <class T>
[[nodiscard]] std::string parameter_of(const T& value) {
  if constexpr (requires { option_type<T>::parameter(value); })
    return option_type<T>::parameter(value);
  else
    return text_of(value);
}

template <class T>
concept readable = requires(std::string_view text, T& value) {
  option_type<T>::parse(text, value);
};

/// Reads a value. A list is one element, which is appended. False when the text is not one.
template <readable T>
[[nodiscard]] bool parse_value(std::string_view text, T& value) {
  return option_type<T>::parse(text, value);
}

template <class T>
inline constexpr bool is_list = false;
template <class T>
inline constexpr bool is_list<std::vector<T>> = true;

template <>
struct option_type<std::string> {
  static std::string kind() { return "text"; }
  static std::string text(const std::string& value) { return value; }
  static bool parse(std::string_view text, std::string& value) {
    value = text;
    return true;
  }
};

template <>
struct option_type<bool> {
  static std::string kind() { return "true, false"; }
  static std::string text(bool value) { return value ? "true" : "false"; }
  static bool parse(std::string_view text, bool& value) {
    value = text == "true" || text == "1" || text.empty();
    return value || text == "false" || text == "0";
  }
};

template <class T>
requires std::is_arithmetic_v<T>
struct option_type<T> {
  static std::string kind() { return "number"; }
  static std::string text(T value) {
    char buffer[32];
    return {buffer, std::to_chars(buffer, buffer + sizeof buffer, value).ptr};
  }
  static bool parse(std::string_view text, T& value) { return parse_number(text, value); }
};

template <class T>
requires std::is_enum_v<T>
struct option_type<T> {
  static std::string kind() {
    std::string text;
    for (const auto& n : names_of<T>)
      text.append(text.empty() ? "" : ", ").append(n.ours);
    return text;
  }
  static std::string text(T value) {
    for (const auto& n : names_of<T>)
      if (n.value == value)
        return std::string{n.ours};
    return "?";
  }
  static std::string parameter(T value) {
    for (const auto& n : names_of<T>)
      if (n.value == value)
        return std::string{n.pulsars};
    return {};
  }
  static bool parse(std::string_view text, T& value) {
    for (const auto& n : names_of<T>)
      if (n.ours == text || (!n.pulsars.empty() && n.pulsars == text)) {
        value = n.value;
        return true;
      }
    return false;
  }
};

template <class T>
struct option_type<std::vector<T>> {
  static std::string kind() { return "list of " + kind_of<T>(); }
  static std::string text(const std::vector<T>& value) { return joined(value, ", "); }
  static std::string parameter(const std::vector<T>& value) { return joined(value, ","); }
  static bool parse(std::string_view text, std::vector<T>& value) {
    T element{};
    if (!parse_value(text, element))
      return false;
    value.push_back(std::move(element));
    return true;
  }

private:
  static std::string joined(const std::vector<T>& value, std::string_view comma) {
    std::string text;
    for (const auto& element : value)
      text.append(text.empty() ? "" : comma).append(text_of(element));
    return text;
  }
};

/// A duration's text is a whole number with its unit, `500ms`, `10s`, `2min`, `1h` or `1d`, or `0`. A bare number is none:
/// nobody could see whether it is seconds. Nor is what `T` cannot hold exactly, such as half a second in whole ones.
template <class Rep, class Period>
struct option_type<std::chrono::duration<Rep, Period>> {
  using type = std::chrono::duration<Rep, Period>;

  static std::string kind() { return "duration"; }
  static std::string expected() { return "a duration with its unit, such as 500ms, 10s, 2min, 1h or 1d"; }
  static std::string text(type value) {
    if (value == type::zero())
      return "0";
    for (const auto& u : units)
      if (value % u.length == type::zero())
        return std::to_string(value / u.length) + std::string{u.name};
    return "?"; // no option is finer than a millisecond
  }
  static std::string parameter(type value) { return std::to_string(value.count()); }
  static bool parse(std::string_view text, type& value) {
    value = type::zero();
    if (text == "0")
      return true;
    const auto end = std::min(text.find_first_not_of("-0123456789"), text.size());
    Rep count{};
    if (!parse_number(text.substr(0, end), count))
      return false;
    const auto found =
      std::find_if(units.begin(), units.end(), [name = text.substr(end)](const unit& u) { return u.name == name; });
    constexpr Rep most = std::numeric_limits<Rep>::max() / 86'400'000;
    if (found == units.end() || count > most || count < -most)
      return false;
    const auto whole = count * found->length;
    value = std::chrono::duration_cast<type>(whole);
    return value == whole;
  }

private:
  struct unit {
    std::string_view name;
    std::chrono::milliseconds length;
  };
  static constexpr std::array units{
    unit{"d", std::chrono::milliseconds{86'400'000}}, unit{"h", std::chrono::milliseconds{3'600'000}},
    unit{"min", std::chrono::milliseconds{60'000}}, unit{"s", std::chrono::milliseconds{1'000}},
    unit{"ms", std::chrono::milliseconds{1}}};
};

template <>
struct option_type<backoff_options> {
  static std::string kind() { return "three durations"; }
  static std::string expected() { return "first, most and stable with their units, such as 100ms,30s,10s"; }
  static std::string text(const backoff_options& value);
  static bool parse(std::string_view text, backoff_options& value);
};

template <>
struct option_type<topic_name> {
  static std::string kind() { return "topic"; }
  static std::string text(const topic_name& value) { return to_string(value); }
  static bool parse(std::string_view text, topic_name& value);
};

template <>
struct option_type<start_at> {
  static std::string kind() { return "latest, earliest, or an id"; }
  static std::string text(const start_at& value) { return value.text(); }
  static bool parse(std::string_view text, start_at& value) {
    value = start_at{message_id{std::string{text}}};
    return !text.empty();
  }
};

/// `name`, `name:port` or `[address]:port`.
template <>
struct option_type<host> {
  static std::string kind() { return "host:port"; }
  static std::string text(const host& value);
  static bool parse(std::string_view text, host& value);
};

template <class T>
requires std::is_same_v<T, encryption_key> || std::is_same_v<T, decryption_key>
struct option_type<T> {
  static std::string kind() { return "NAME=FILE"; }
  static std::string text(const T& value) { return value.name; }
  static bool parse(std::string_view text, T& value) {
    const auto equals = text.find('=');
    if (equals == std::string_view::npos || equals == 0 || equals + 1 == text.size())
      return false;
    value = {std::string{text.substr(0, equals)}, key_source::file(std::string{text.substr(equals + 1)})};
    return true;
  }
};

template <>
struct option_type<handler_factory> {
  static std::string kind() { return "handler"; }
  static std::string text(const handler_factory& value) { return value ? "set" : "not set"; }
};

template <>
struct option_type<token_source> {
  static std::string kind() { return "token"; }
  static std::string text(const token_source& value) { return value ? "set" : "not set"; }
};

} // namespace stargate::protocol
