/// @file
/// One table of all options: validation, the query strings and the documentation come from it.
#pragma once

#include <stargate/options.hpp>

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace stargate::protocol {

/// One option of a part of the description.
template <class Options>
struct option_row {
  std::string_view name;      ///< The member's name.
  std::string_view type;      ///< With its unit.
  std::string_view standard;  ///< The default.
  std::string_view allowed;   ///< The bounds, in words.
  std::string_view parameter; ///< The query parameter; empty for what concerns only this side.
  std::string_view help;
  /// The value as text, nothing if it is not set: what a query string or an error shows.
  std::function<std::optional<std::string>(const Options&)> value;
  /// Whether the value is allowed.
  std::function<bool(const Options&)> is_allowed;
};

[[nodiscard]] std::span<const option_row<options>> tree_rows();
[[nodiscard]] std::span<const option_row<producer_options>> producer_rows();
[[nodiscard]] std::span<const option_row<consumer_options>> consumer_rows();
[[nodiscard]] std::span<const option_row<reader_options>> reader_rows();

/// As Pulsar's parameter `subscriptionType` has it.
[[nodiscard]] std::string_view name_of(subscription_type type) noexcept;
/// As Pulsar's parameter `subscriptionInitialPosition` has it.
[[nodiscard]] std::string_view name_of(initial_position position) noexcept;

/// The path and query of the handshake: what is not set is left out.
[[nodiscard]] std::string request_path(const producer_options& o);
[[nodiscard]] std::string request_path(const consumer_options& o);
[[nodiscard]] std::string request_path(const reader_options& o);

} // namespace stargate::protocol
