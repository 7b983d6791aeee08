#include "libstargate/connection/poller.hpp"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <limits>
#include <system_error>

namespace stargate::connection {

namespace {

constexpr std::size_t most_at_once = 256;

bool control(int epoll, int operation, int socket, void* who, bool room) {
  epoll_event event{};
  event.events = EPOLLIN | EPOLLRDHUP | (room ? EPOLLOUT : 0u);
  event.data.ptr = who;
  return ::epoll_ctl(epoll, operation, socket, &event) == 0;
}

int or_throw(int descriptor, const char* what) {
  if (descriptor < 0)
    throw std::system_error{errno, std::generic_category(), what};
  return descriptor;
}

} // namespace

poller::poller()
  : epoll_{or_throw(::epoll_create1(EPOLL_CLOEXEC), "epoll_create1")},
    wake_{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)} {
  if (wake_ < 0 || !watch(wake_, nullptr, false)) {
    const auto error = errno;
    ::close(wake_);
    ::close(epoll_);
    throw std::system_error{error, std::generic_category(), "eventfd"};
  }
}

poller::~poller() {
  ::close(wake_);
  ::close(epoll_);
}

bool poller::watch(int socket, void* who, bool room) {
  return control(epoll_, EPOLL_CTL_ADD, socket, who, room);
}

bool poller::change(int socket, void* who, bool room) {
  return control(epoll_, EPOLL_CTL_MOD, socket, who, room);
}

void poller::forget(int socket) {
  ::epoll_ctl(epoll_, EPOLL_CTL_DEL, socket, nullptr);
}

std::span<const poller::ready> poller::wait(std::chrono::nanoseconds at_most) {
  using std::chrono::milliseconds;
  const auto up = std::chrono::ceil<milliseconds>(std::max(at_most, std::chrono::nanoseconds{0})).count();
  std::array<epoll_event, most_at_once> events;
  const int n = ::epoll_wait(epoll_, events.data(), static_cast<int>(events.size()),
                             static_cast<int>(std::min<std::int64_t>(up, std::numeric_limits<int>::max())));
  ready_.clear();
  for (int i = 0; i < n; ++i) {
    const auto& e = events[static_cast<std::size_t>(i)];
    if (e.data.ptr == nullptr) {
      std::uint64_t count = 0;
      static_cast<void>(::read(wake_, &count, sizeof count));
    } else {
      ready_.push_back({e.data.ptr, (e.events & ~EPOLLOUT) != 0, (e.events & EPOLLOUT) != 0});
    }
  }
  return ready_;
}

void poller::wake() {
  const std::uint64_t one = 1;
  static_cast<void>(::write(wake_, &one, sizeof one));
}

} // namespace stargate::connection
