/// @file
/// WebSocket connections on one thread: an event loop on epoll.
#pragma once

#include "libstargate/connection/tls.hpp"
#include "libstargate/connection/transport.hpp"

#include <chrono>
#include <memory>
#include <optional>

namespace stargate::connection {

inline constexpr std::chrono::milliseconds default_gather_time{2};

/// The thread that does all the work. Make it with `start`.
class event_loop final : public transport, public std::enable_shared_from_this<event_loop> {
public:
  /// Starts the thread. With `tls`, every connection of the loop speaks TLS; without, none does.
  /// @param gather_time see `options::gather_time`
  /// @throws bad_tls_settings; std::runtime_error when OpenSSL cannot be set up, or descriptors have run out
  [[nodiscard]] static std::shared_ptr<event_loop> start(const std::optional<tls_settings>& tls = {},
                                                         std::chrono::milliseconds gather_time = default_gather_time);
  ~event_loop() override;

  [[nodiscard]] std::unique_ptr<link> connect(endpoint to, std::unique_ptr<observer> observer) override;
  void stop() override;

  struct parts; ///< The inside.

private:
  explicit event_loop(std::chrono::milliseconds gather_time);
  std::unique_ptr<parts> parts_;
};

} // namespace stargate::connection
