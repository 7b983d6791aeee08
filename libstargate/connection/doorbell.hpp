/// @file
/// How a thread that waits for sockets is told that there is something else.
#pragma once

#include <chrono>
#include <memory>

namespace stargate::connection {

/// A ring is kept until it is heard; several are one.
class doorbell {
public:
  /// @throws std::system_error when the system has no more descriptors
  doorbell();
  ~doorbell();
  doorbell(const doorbell&) = delete;
  doorbell& operator=(const doorbell&) = delete;

  /// @par Threads any thread
  void ring();
  /// Forgets what was rung. @par Threads the one that waits
  void hush();
  /// Waits until `socket` has something to read or is broken, which gives true, or this rings, or the time is over.
  /// @par Threads the one that waits
  [[nodiscard]] bool wait_beside(int socket, std::chrono::steady_clock::time_point until);
  /// Has something to read while a ring is kept.
  [[nodiscard]] int descriptor() const { return descriptor_; }

private:
  int descriptor_;
};

/// A new one; null where the system has no more descriptors: who would have waited by it waits as others do.
[[nodiscard]] std::shared_ptr<doorbell> make_doorbell();

/// The one that this thread waits by, whatever it waits for; null where the system has no more descriptors.
[[nodiscard]] std::shared_ptr<doorbell> doorbell_of_this_thread();

} // namespace stargate::connection
