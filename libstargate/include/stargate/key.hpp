/// @file
/// The names of topics, and the keys under which a tree's actors are found.
#pragma once

#include <stargate/export.hpp>

#include <caf/expected.hpp>

#include <cstdint>
#include <string>
#include <string_view>

namespace STARGATE_API stargate {

/// Whether the broker stores a topic's messages.
enum class persistence : std::uint8_t { persistent, non_persistent };

/// `persistent` or `non-persistent`, as Pulsar writes it.
[[nodiscard]] std::string_view name_of(persistence p) noexcept;

/// A topic's full name. Any part may hold any character; the parts are escaped where a URL or a key is made.
struct topic_name {
  std::string tenant = "public"; ///< Which tenant.
  std::string ns = "default";    ///< The namespace, which is a keyword of C++.
  std::string topic;             ///< The topic's own name, a partition's number included.
  stargate::persistence persistence = stargate::persistence::persistent; ///< Whether it is stored.

  /// Part by part.
  friend bool operator==(const topic_name&, const topic_name&) = default;
};

/// `persistent://tenant/namespace/topic`.
[[nodiscard]] std::string to_string(const topic_name& name);

/// Reads `persistent://tenant/namespace/topic`, `non-persistent://…`, `tenant/namespace/topic`, or a bare name in
/// `public/default`. What follows the namespace is the topic, slashes included; a bare name has none.
/// @par Errors errc::invalid_topic when a part is empty, or the scheme is another.
/// @par Source Pulsar's `TopicName`.
[[nodiscard]] caf::expected<topic_name> parse_topic(std::string_view text);

/// The key of an actor in a tree's registry: `<component, persistence, tenant, namespace, topic>`.
struct registry_key {
  std::string component = "producer"; ///< What the actor is, such as `producer` or `consumer/<subscription>`.
  topic_name topic;                   ///< Which topic it works on.
  std::string name = "default";       ///< The tree's name: which registry the key belongs to. Not part of the entry.

  registry_key() = default;
  /// The key of a topic's producer in the default tree.
  registry_key(topic_name topic_) : topic{std::move(topic_)} {}
  /// The key of any actor.
  registry_key(std::string component_, topic_name topic_, std::string name_ = "default")
    : component{std::move(component_)},
      topic{std::move(topic_)},
      name{std::move(name_)} {}

  /// Part by part.
  friend bool operator==(const registry_key&, const registry_key&) = default;
};

/// What `make_registry_key` takes besides the topic, each with the default that the original gives it.
struct key_options {
  std::string name = "default";                                          ///< The tree's.
  std::string component = "producer";                                    ///< What the actor is.
  stargate::persistence persistence = stargate::persistence::persistent; ///< Whether the topic is stored.
};

/// The key of an actor; by default that of a persistent topic's producer in the default tree.
/// @par Source `Stargate.registry_key/4` of the Elixir original.
[[nodiscard]] registry_key make_registry_key(std::string tenant, std::string ns, std::string topic,
                                             key_options options = {});

/// The key of a topic's producer. @param tree the tree's name
[[nodiscard]] registry_key producer_key(topic_name topic, std::string tree = "default");
/// The key of a consumer. @param topic of one that has several `topics`: the first, followed by a comma and the bare
/// name of each other; of one that has a `topics_pattern`, the pattern @param tree the tree's name
[[nodiscard]] registry_key consumer_key(topic_name topic, std::string_view subscription, std::string tree = "default");
/// The key of a reader. @param reader_name as its option is; empty when that is not set @param tree the tree's name
[[nodiscard]] registry_key reader_key(topic_name topic, std::string_view reader_name = {},
                                      std::string tree = "default");

/// The canonical form under which a registry holds a key: the five parts, each percent-encoded, joined by `/`.
/// Two keys have one form only if all their parts are equal.
[[nodiscard]] std::string to_string(const registry_key& key);

/// The reverse of `to_string`. @par Errors errc::invalid_topic when `text` is not five encoded parts.
[[nodiscard]] caf::expected<registry_key> parse_registry_key(std::string_view text);

} // namespace stargate
