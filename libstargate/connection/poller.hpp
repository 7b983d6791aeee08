/// @file
/// Which sockets are ready, in constant time for each that is: epoll.
#pragma once

#include "libstargate/connection/doorbell.hpp"

#include <chrono>
#include <cstdint>
#include <span>
#include <vector>

struct epoll_event;

namespace stargate::connection {

/// @par Threads one; `wake` any
class poller {
public:
  /// @throws std::system_error when the system has no more descriptors
  poller();
  ~poller();
  poller(const poller&) = delete;
  poller& operator=(const poller&) = delete;

  struct ready {
    void* who = nullptr; ///< Whoever was given to `watch`.
    bool readable = false;
    bool has_room = false;
  };

  /// What a socket is watched for; that its connection has broken is always told.
  struct interest {
    bool input = true; ///< What it brings.
    bool room = false; ///< Room to write.
    friend bool operator==(const interest&, const interest&) = default;
  };
  /// A socket is watched until it is forgotten, which is before it is closed. False when the system watches no more.
  [[nodiscard]] bool watch(int socket, void* who, interest in);
  [[nodiscard]] bool change(int socket, void* who, interest in);
  void forget(int socket);
  /// Waits until a socket is ready, somebody wakes it, or the time is over.
  [[nodiscard]] std::span<const ready> wait(std::chrono::nanoseconds at_most);
  void wake();

private:
  doorbell wake_;
  int epoll_;
  std::vector<ready> ready_;
};

} // namespace stargate::connection
