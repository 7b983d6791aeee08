/// @file
/// What stands behind one WebSocket connection.
#pragma once

#include <memory>
#include <string>
#include <string_view>

namespace stargate::box {

/// The far end of a connection: what frames are sent to. @par Threads the box's own
class peer {
public:
  peer() = default;
  peer(const peer&) = delete;
  peer& operator=(const peer&) = delete;
  virtual ~peer() = default;

  virtual void send(std::string frame) = 0;
  /// The last call. A `code` of 0 is a connection that breaks, without a close frame.
  virtual void close(int code, const std::string& reason) = 0;
};

/// A producer, consumer or reader behind a connection. It is gone when its connection is.
class connection {
public:
  connection() = default;
  connection(const connection&) = delete;
  connection& operator=(const connection&) = delete;
  virtual ~connection() = default;

  virtual void on_frame(std::string_view text) = 0;
};

} // namespace stargate::box
