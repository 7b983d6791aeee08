/// @file
/// Looking at a running tree, and letting others look by a Unix domain socket.
#pragma once

#include "actors/shared/tree_context.hpp"

#include <stargate/tree.hpp>

#include <chrono>
#include <memory>
#include <string>
#include <thread>

namespace stargate::internal {

/// What a tree looks like. @par Threads any but the scheduler's: it asks each supervisor and waits
[[nodiscard]] tree_snapshot look_at(const tree_context& tree, const caf::actor& top, std::chrono::milliseconds timeout);

/// Writes the listing in JSON to whoever connects, one after the other, on a thread of its own.
class inspection_server {
public:
  /// @throws std::runtime_error when the socket cannot be opened, or another process listens there
  inspection_server(std::shared_ptr<const tree_context> tree, caf::actor top);
  inspection_server(const inspection_server&) = delete;
  inspection_server& operator=(const inspection_server&) = delete;
  ~inspection_server();

private:
  void serve() const;

  const std::shared_ptr<const tree_context> tree_;
  const caf::actor top_;
  const std::string path_;
  int listener_ = -1;
  std::thread thread_;
};

} // namespace stargate::internal
