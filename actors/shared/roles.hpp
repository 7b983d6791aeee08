/// @file
/// What tells a producer, a consumer and a reader apart: one row for each role.
#pragma once

#include <stargate/key.hpp>
#include <stargate/options.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace stargate::internal {

enum class role : std::uint8_t { producer, consumer, reader };

/// The components under which the actors of a role are registered. Where several actors share a topic, what follows
/// the component tells them apart: `processor/billing/2`.
struct role_row {
  std::string_view socket;
  std::string_view supervisor;
  std::string_view acknowledger;
  std::string_view dispatcher;
  std::string_view processor;
};

inline constexpr std::array role_rows{
  role_row{"producer", "producer_sup", "producer_ack", "", ""},
  role_row{"consumer", "consumer_sup", "consumer_ack", "dispatcher", "processor"},
  role_row{"reader", "reader_sup", "reader_ack", "reader_dispatcher", "reader_processor"},
};

[[nodiscard]] constexpr const role_row& row_of(role r) {
  return role_rows[static_cast<std::size_t>(r)];
}

/// The registry keys of one producer, consumer or reader.
class role_keys {
public:
  /// @param suffix A consumer's subscription, a reader's name if it has one, nothing for a producer.
  role_keys(internal::role r, topic_name topic, std::string suffix)
    : role_{r},
      topic_{std::move(topic)},
      suffix_{std::move(suffix)} {}

  /// Reads the key of a socket, by which a user names a producer, consumer or reader; nothing for any other key.
  [[nodiscard]] static std::optional<role_keys> of(const registry_key& socket);
  friend bool operator==(const role_keys&, const role_keys&) = default;

  [[nodiscard]] internal::role role() const { return role_; }
  [[nodiscard]] const topic_name& topic() const { return topic_; }
  [[nodiscard]] std::string socket() const { return key(row_of(role_).socket); }
  [[nodiscard]] std::string supervisor() const { return key(row_of(role_).supervisor); }
  [[nodiscard]] std::string acknowledger() const { return key(row_of(role_).acknowledger); }
  [[nodiscard]] std::string dispatcher() const { return key(row_of(role_).dispatcher); }
  [[nodiscard]] std::string processor(std::size_t index) const {
    return to_string(registry_key{processor_component(index), topic_});
  }
  [[nodiscard]] std::string processor_component(std::size_t index) const {
    return component(row_of(role_).processor) + "/" + std::to_string(index);
  }

private:
  [[nodiscard]] std::string component(std::string_view base) const {
    return suffix_.empty() ? std::string{base} : std::string{base} + "/" + suffix_;
  }
  [[nodiscard]] std::string key(std::string_view base) const {
    return to_string(registry_key{component(base), topic_});
  }

  internal::role role_;
  topic_name topic_;
  std::string suffix_;
};

[[nodiscard]] role_keys role_keys_of(const producer_options& o);
[[nodiscard]] role_keys role_keys_of(const consumer_options& o);
[[nodiscard]] role_keys role_keys_of(const reader_options& o);

} // namespace stargate::internal
