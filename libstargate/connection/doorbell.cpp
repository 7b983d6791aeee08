#include "libstargate/connection/doorbell.hpp"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <limits>
#include <system_error>

namespace stargate::connection {

doorbell::doorbell() : descriptor_{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)} {
  if (descriptor_ < 0)
    throw std::system_error{errno, std::generic_category(), "eventfd"};
}

doorbell::~doorbell() {
  ::close(descriptor_);
}

void doorbell::ring() {
  const std::uint64_t one = 1;
  static_cast<void>(::write(descriptor_, &one, sizeof one));
}

void doorbell::hush() {
  std::uint64_t count = 0;
  static_cast<void>(::read(descriptor_, &count, sizeof count));
}

bool doorbell::wait_beside(int socket, std::chrono::steady_clock::time_point until) {
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - std::chrono::steady_clock::now()).count();
  std::array<pollfd, 2> both{pollfd{socket, POLLIN | POLLRDHUP, 0}, pollfd{descriptor_, POLLIN, 0}};
  static_cast<void>(::poll(both.data(), both.size(),
                           static_cast<int>(std::clamp<std::int64_t>(left, 0, std::numeric_limits<int>::max()))));
  if (both[1].revents != 0)
    hush();
  return both[0].revents != 0;
}

std::shared_ptr<doorbell> make_doorbell() {
  try {
    return std::make_shared<doorbell>();
  } catch (const std::system_error&) {
    return nullptr;
  }
}

std::shared_ptr<doorbell> doorbell_of_this_thread() {
  thread_local std::shared_ptr<doorbell> mine;
  if (!mine)
    mine = make_doorbell();
  return mine;
}

} // namespace stargate::connection
