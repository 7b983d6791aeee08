/// @file
/// The broker in a box behind libwebsockets: WebSocket and REST on one port.
#pragma once

#include "box/broker.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

namespace stargate::box {

class server {
public:
  struct settings {
    std::string address = "127.0.0.1";      ///< Of the interface it listens on.
    std::uint16_t port = 8080;              ///< 0 for any that is free.
    std::optional<std::uint16_t> tls_port;  ///< Likewise, for TLS beside it.
    std::string certificate_file, key_file; ///< PEM, for TLS.
    broker_settings model;
  };
  /// Listens. @throws std::runtime_error when it cannot, or the files of TLS are none
  explicit server(settings s);
  ~server();
  server(const server&) = delete;
  server& operator=(const server&) = delete;

  [[nodiscard]] std::uint16_t port() const;
  [[nodiscard]] std::optional<std::uint16_t> tls_port() const;
  /// Serves until `done` is true, which is asked after whatever wakes it, and at least every 100 ms.
  void run(const std::function<bool()>& done);

  struct counts {
    std::size_t connections = 0;
    std::uint64_t frames_in = 0, frames_out = 0;
  };
  [[nodiscard]] counts seen() const;

private:
  struct implementation;
  std::unique_ptr<implementation> inside_;
};

} // namespace stargate::box
