/// @file
/// Turns host names into addresses on a thread of its own, because `getaddrinfo` blocks.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace stargate::connection {

class resolver {
public:
  /// Is given the addresses as numbers, in the order of preference; none when the name does not resolve, and why.
  using answer = std::function<void(std::vector<std::string> addresses, std::string failure)>;

  resolver() = default;
  resolver(const resolver&) = delete;
  resolver& operator=(const resolver&) = delete;
  ~resolver();

  /// Calls `then` exactly once: at once if `host` is an address already, else from the resolver's thread.
  void resolve(std::string host, answer then);

private:
  void run();

  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::pair<std::string, answer>> queue_;
  bool stopping_ = false;
  std::thread thread_; ///< Started by the first name that needs it.
};

} // namespace stargate::connection
