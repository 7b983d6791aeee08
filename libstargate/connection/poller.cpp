#include "libstargate/connection/poller.hpp"

#include <sys/epoll.h>
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

bool control(int epoll, int operation, int socket, void* who, poller::interest in) {
  epoll_event event{};
  event.events = (in.input ? EPOLLIN | EPOLLRDHUP : 0u) | (in.room ? EPOLLOUT : 0u);
  event.data.ptr = who;
  return ::epoll_ctl(epoll, operation, socket, &event) == 0;
}

} // namespace

poller::poller() : epoll_{::epoll_create1(EPOLL_CLOEXEC)} {
  if (epoll_ < 0 || !watch(wake_.descriptor(), nullptr, {})) {
    const auto error = errno;
    ::close(epoll_);
    throw std::system_error{error, std::generic_category(), "epoll"};
  }
}

poller::~poller() {
  ::close(epoll_);
}

bool poller::watch(int socket, void* who, interest in) {
  return control(epoll_, EPOLL_CTL_ADD, socket, who, in);
}

bool poller::change(int socket, void* who, interest in) {
  return control(epoll_, EPOLL_CTL_MOD, socket, who, in);
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
    if (e.data.ptr == nullptr)
      wake_.hush();
    else
      ready_.push_back({e.data.ptr, (e.events & ~EPOLLOUT) != 0, (e.events & EPOLLOUT) != 0});
  }
  return ready_;
}

void poller::wake() {
  wake_.ring();
}

} // namespace stargate::connection
