/// @file
/// Producing to a URL, without a tree of one's own.
#pragma once

#include <stargate/caf.hpp>
#include <stargate/error.hpp>
#include <stargate/export.hpp>
#include <stargate/message.hpp>
#include <stargate/options.hpp>

#include <chrono>
#include <memory>
#include <string>
#include <vector>

namespace STARGATE_API stargate {

/// How producing to URLs goes.
struct temporary_options {
  tls_options tls = {};                           ///< For `wss://`.
  token_source token = {};                        ///< Unset: none is sent.
  std::chrono::milliseconds send_timeout{30'000}; ///< Bounds a call, the connection included.
  std::chrono::milliseconds keep{5'000};          ///< How long a connection stays after its last use.
  log_hook log = {};                              ///< Unset: CAF's logger.
};

/// Produces to URLs such as `ws://host:8080/ws/v2/producer/persistent/tenant/ns/topic`. A connection is made when it
/// is needed, serves all calls to its URL, and is closed when nobody has used it for a while; the destructor closes
/// those that are left. The query of a URL may set what `producer_options` can, by the broker's parameters.
///
/// @par Threads any thread; calls to one URL share its connection, and do not wait for each other
/// @par Source `Stargate.produce/2` of the Elixir original
class temporary_producers {
public:
  /// The actor system must outlive it.
  explicit temporary_producers(caf::actor_system& system, temporary_options options = {});
  ~temporary_producers();
  temporary_producers(const temporary_producers&) = delete;
  temporary_producers& operator=(const temporary_producers&) = delete;

  /// Produces one message and waits for its receipt.
  /// @par Errors errc::invalid_url; errc::invalid_option for a wrong query; what `wait_ready` gives when the broker
  /// refuses the connection for good; and those of `tree::produce`
  [[nodiscard]] caf::expected<message_id> produce(const std::string& url, message content);
  /// Produces messages in order: an answer for each.
  [[nodiscard]] std::vector<caf::expected<message_id>> produce(const std::string& url, std::vector<message> contents);

  /// How many connections there are now.
  [[nodiscard]] std::size_t size() const;

private:
  struct inside;
  std::unique_ptr<inside> inside_;
};

/// Produces one message to a URL by a connection of its own, which is closed before this returns.
/// @par Threads any thread @par Errors as `temporary_producers::produce`
[[nodiscard]] caf::expected<message_id> produce(caf::actor_system& system, const std::string& url, message content,
                                                temporary_options options = {});

} // namespace stargate
