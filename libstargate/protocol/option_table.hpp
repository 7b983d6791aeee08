/// @file
/// One table of all options: validation, the query strings, command-line flags and the documentation come from it.
#pragma once

#include <stargate/options.hpp>

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace stargate::protocol {

/// One option of a part of the description.
template <class Options>
struct option_row {
  std::string name;      ///< The member's name; `tls.ca_file` is a member of a member.
  std::string type;      ///< What kind of value it is.
  std::string expected;  ///< For an error: what a text that is a value is.
  std::string standard;  ///< The default.
  std::string allowed;   ///< The bounds, in words.
  std::string parameter; ///< The query parameter; empty for what concerns only this side.
  std::string help;
  bool is_list = false; ///< May be given several times.
  bool is_flag = false; ///< True or false.
  /// The value as text, nothing if it is not set: what an error shows.
  std::function<std::optional<std::string>(const Options&)> value;
  /// The value of the query parameter, nothing if it is left out.
  std::function<std::optional<std::string>(const Options&)> query;
  /// Whether the value is allowed.
  std::function<bool(const Options&)> is_allowed;
  /// Reads the value from text; false when it is not one. Empty for what only a program can set.
  std::function<bool(Options&, const std::string&)> set;
};

template <class Options>
[[nodiscard]] std::span<const option_row<Options>> rows();
template <>
[[nodiscard]] std::span<const option_row<options>> rows();
template <>
[[nodiscard]] std::span<const option_row<producer_options>> rows();
template <>
[[nodiscard]] std::span<const option_row<consumer_options>> rows();
template <>
[[nodiscard]] std::span<const option_row<reader_options>> rows();

/// The path and query of the handshake: what is not set is left out.
[[nodiscard]] std::string request_path(const producer_options& o);
[[nodiscard]] std::string request_path(const consumer_options& o);
[[nodiscard]] std::string request_path(const reader_options& o);

/// What is allowed and still hardly meant, each as a sentence: options that undo each other.
[[nodiscard]] std::vector<std::string> doubts(const options& o);

/// Where a consumer or reader puts what its handler cannot handle: the option, or for a consumer Pulsar's own
/// `<topic>-<subscription>-DLQ`.
[[nodiscard]] topic_name dead_letter_topic_of(const consumer_options& o);
[[nodiscard]] topic_name dead_letter_topic_of(const reader_options& o);

/// Whether a consumer has several topics, by name or by a pattern.
[[nodiscard]] inline bool is_of_many_topics(const consumer_options& o) {
  return !o.topics.empty() || !o.topics_pattern.empty();
}

/// The topic under which a consumer's actors are registered: its topic; for several topics all of their names, for a
/// pattern the pattern.
[[nodiscard]] topic_name registered_topic(const consumer_options& o);

} // namespace stargate::protocol
