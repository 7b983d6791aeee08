/// @file
/// Pulsar's administration over REST, on the same hosts and credentials as a tree's sockets.
#pragma once

#include <stargate/error.hpp>
#include <stargate/export.hpp>
#include <stargate/key.hpp>
#include <stargate/message.hpp>
#include <stargate/options.hpp>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace STARGATE_API stargate {

/// A REST client. Each call is one request that blocks until it is answered; a host that cannot be reached is
/// followed by the next.
///
/// @par Threads any thread; calls of one object come one after the other
/// @par Errors of every call: errc::bad_request, errc::unauthorized, errc::forbidden, errc::not_found, errc::conflict
/// (also for 405, 412 and 422) and errc::broker_unavailable by the HTTP status, with the status and Pulsar's reason in
/// the text; errc::connection_failed, errc::untrusted, errc::timed_out, errc::no_token; errc::protocol_violation when
/// the answer is not what Pulsar's documentation says
/// @par Source Pulsar's REST API, /admin/v2
class admin {
public:
  /// Takes hosts, scheme, TLS and token from a tree's description. `timeout` bounds each request.
  explicit admin(const options& o, std::chrono::milliseconds timeout = std::chrono::seconds{30});
  /// Sends each request by a function of the caller's: what follows /admin/v2/ is `path`, and the body of the answer or
  /// an error comes back.
  using sender = std::function<caf::expected<std::string>(std::string_view method, const std::string& path,
                                                          const std::string& json)>;
  /// Sends by a function.
  explicit admin(sender send);
  ~admin();
  /// One moves, and is not copied.
  admin(admin&&) noexcept;
  /// One moves, and is not copied.
  admin& operator=(admin&&) noexcept;

  /// Nothing when the broker says that it is healthy.
  [[nodiscard]] caf::error health() const;
  /// Of Pulsar, such as `4.0.0`.
  [[nodiscard]] caf::expected<std::string> version() const;

  // -- tenants and namespaces; a namespace is `tenant/name`

  /// The clusters of the instance.
  [[nodiscard]] caf::expected<std::vector<std::string>> clusters() const;
  /// All tenants.
  [[nodiscard]] caf::expected<std::vector<std::string>> tenants() const;
  /// On all clusters that there are.
  [[nodiscard]] caf::error create_tenant(const std::string& tenant) const;
  /// One that has no namespaces.
  [[nodiscard]] caf::error delete_tenant(const std::string& tenant) const;
  /// Those of a tenant, as `tenant/name`.
  [[nodiscard]] caf::expected<std::vector<std::string>> namespaces(const std::string& tenant) const;
  /// With the broker's settings.
  [[nodiscard]] caf::error create_namespace(const std::string& ns) const;
  /// One that has no topics.
  [[nodiscard]] caf::error delete_namespace(const std::string& ns) const;
  /// What `effectively once` needs: the broker drops what a producer sends twice.
  [[nodiscard]] caf::error set_deduplication(const std::string& ns, bool on) const;
  /// Nothing when it is not set for the namespace, and the broker's own setting holds.
  [[nodiscard]] caf::expected<std::optional<bool>> deduplication(const std::string& ns) const;
  /// Lets a role do things, such as `produce` and `consume`.
  [[nodiscard]] caf::error grant(const std::string& ns, const std::string& role,
                                 const std::vector<std::string>& actions) const;
  /// Takes back all that a role was granted.
  [[nodiscard]] caf::error revoke(const std::string& ns, const std::string& role) const;
  /// As JSON: each role with what it may do.
  [[nodiscard]] caf::expected<std::string> permissions(const std::string& ns) const;

  // -- topics

  /// The full names, partitions as topics of their own.
  [[nodiscard]] caf::expected<std::vector<std::string>> topics(const std::string& ns,
                                                               persistence p = persistence::persistent) const;
  /// One that has no partitions.
  [[nodiscard]] caf::error create_topic(const topic_name& topic) const;
  /// With so many partitions, 1 at least.
  [[nodiscard]] caf::error create_partitioned_topic(const topic_name& topic, std::uint32_t partitions) const;
  /// 0 when it is not partitioned.
  [[nodiscard]] caf::expected<std::uint32_t> partitions(const topic_name& topic) const;
  /// With `force`, also when there are subscriptions or clients.
  [[nodiscard]] caf::error delete_topic(const topic_name& topic, bool force = false) const;
  /// As JSON; of a partitioned topic, over its partitions.
  [[nodiscard]] caf::expected<std::string> stats(const topic_name& topic) const;
  /// Whether the broker has a consumer or reader of this name on the topic; of a partitioned topic, on each partition.
  /// @par Errors errc::not_found when the topic is not there
  [[nodiscard]] caf::expected<bool> has_consumer(const topic_name& topic, const std::string& consumer_name) const;
  /// Takes no more messages, for ever: `tree::is_end_of_topic`.
  [[nodiscard]] caf::error terminate(const topic_name& topic) const;

  // -- subscriptions

  /// Their names.
  [[nodiscard]] caf::expected<std::vector<std::string>> subscriptions(const topic_name& topic) const;
  /// It keeps what is published from `at` on.
  [[nodiscard]] caf::error create_subscription(const topic_name& topic, const std::string& subscription,
                                               initial_position at = initial_position::latest) const;
  /// With `force`, also when it has consumers.
  [[nodiscard]] caf::error delete_subscription(const topic_name& topic, const std::string& subscription,
                                               bool force = false) const;
  /// Acknowledges so many messages unseen.
  [[nodiscard]] caf::error skip(const topic_name& topic, const std::string& subscription, std::uint64_t messages) const;
  /// Acknowledges all there are unseen.
  [[nodiscard]] caf::error skip_all(const topic_name& topic, const std::string& subscription) const;
  /// What was published from then on is delivered again. It closes the subscription's consumers, which reconnect.
  [[nodiscard]] caf::error reset(const topic_name& topic, const std::string& subscription,
                                 std::chrono::system_clock::time_point to) const;
  /// From that message on. @par Errors errc::invalid_message when it is not an id
  [[nodiscard]] caf::error reset(const topic_name& topic, const std::string& subscription, const message_id& to) const;

  /// Any other request: `path` is what follows /admin/v2/, encoded. Gives the body of the answer.
  [[nodiscard]] caf::expected<std::string> request(std::string_view method, const std::string& path,
                                                   const std::string& json = {}) const;

private:
  struct connection;
  std::unique_ptr<connection> connection_;
};

} // namespace stargate
