#include "cli/notify.hpp"

#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string_view>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

namespace stargate::cli {

namespace {

/// Half of the time after which it is taken for hung; 0 where nobody watches.
std::chrono::microseconds watchdog_interval() {
  const auto* who = std::getenv("WATCHDOG_PID");
  const auto* after = std::getenv("WATCHDOG_USEC");
  if (after == nullptr || (who != nullptr && std::strtol(who, nullptr, 10) != ::getpid()))
    return {};
  return std::chrono::microseconds{std::strtoll(after, nullptr, 10) / 2};
}

} // namespace

void notify(const std::string& state) {
  const auto* path = std::getenv("NOTIFY_SOCKET");
  sockaddr_un to{};
  to.sun_family = AF_UNIX;
  const std::string_view name = path == nullptr ? "" : path;
  if (name.empty() || name.size() >= sizeof to.sun_path || (name.front() != '/' && name.front() != '@'))
    return;
  std::memcpy(to.sun_path, name.data(), name.size());
  if (name.front() == '@')
    to.sun_path[0] = '\0';
  const int fd = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0)
    return;
  static_cast<void>(::sendto(fd, state.data(), state.size(), MSG_NOSIGNAL, reinterpret_cast<const sockaddr*>(&to),
                             static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size())));
  ::close(fd);
}

void notify_watchdog() {
  static const auto interval = watchdog_interval();
  static std::chrono::steady_clock::time_point last;
  const auto now = std::chrono::steady_clock::now();
  if (interval.count() <= 0 || now - last < interval)
    return;
  last = now;
  notify("WATCHDOG=1");
}

} // namespace stargate::cli
