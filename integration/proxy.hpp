/// @file
/// A TCP proxy between client and broker that can cut connections and refuse new ones.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <thread>

namespace stargate::integration {

class proxy {
public:
  /// Forwards to a port on loopback.
  explicit proxy(std::uint16_t to) : to_{to}, listener_{::socket(AF_INET, SOCK_STREAM, 0)} {
    auto address = loopback(0);
    socklen_t size = sizeof address;
    const int yes = 1;
    ::setsockopt(listener_, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (::bind(listener_, reinterpret_cast<sockaddr*>(&address), size) != 0 || ::listen(listener_, 64) != 0
        || ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size) != 0)
      throw std::runtime_error{"the proxy cannot listen"};
    port_ = ntohs(address.sin_port);
    acceptor_ = std::thread{[this] { accept_all(); }};
  }
  proxy(const proxy&) = delete;
  proxy& operator=(const proxy&) = delete;
  ~proxy() {
    ::shutdown(listener_, SHUT_RDWR);
    acceptor_.join();
    ::close(listener_);
    cut();
    for (auto& c : connections_) {
      c->worker.join();
      ::close(c->client);
      ::close(c->broker);
    }
  }

  std::uint16_t port() const { return port_; }

  /// Breaks all connections, in whatever they are doing. Gives how many.
  std::size_t cut() {
    const std::lock_guard guard{mutex_};
    std::size_t count = 0;
    for (auto& c : connections_)
      if (c->open.exchange(false)) {
        ++count;
        c->end();
      }
    return count;
  }
  /// How many connections there are that were not cut.
  std::size_t open() {
    const std::lock_guard guard{mutex_};
    std::size_t count = 0;
    for (const auto& c : connections_)
      count += c->open ? 1 : 0;
    return count;
  }
  /// Accepts connections and ends them at once.
  void refuse(bool on) { refusing_ = on; }

private:
  struct connection {
    int client;
    int broker;
    std::atomic<bool> open{true};
    std::thread worker;

    void end() {
      // A reset, not an orderly end: whatever is on the way is lost.
      const linger hard{1, 0};
      ::setsockopt(client, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
      ::shutdown(client, SHUT_RDWR);
      ::shutdown(broker, SHUT_RDWR);
    }
    void run() {
      pollfd ends[2] = {{client, POLLIN, 0}, {broker, POLLIN, 0}};
      char buffer[16'384];
      for (bool going = true; going;) {
        if (::poll(ends, 2, -1) < 0)
          break;
        for (int i = 0; going && i < 2; ++i)
          if (ends[i].revents != 0) {
            const auto n = ::recv(ends[i].fd, buffer, sizeof buffer, 0);
            going = n > 0 && forward(ends[1 - i].fd, buffer, static_cast<std::size_t>(n));
          }
      }
      open = false;
      // The sockets stay until the proxy goes: `cut` may be about to use them.
      end();
    }
    static bool forward(int to, const char* bytes, std::size_t size) {
      while (size > 0) {
        const auto n = ::send(to, bytes, size, MSG_NOSIGNAL);
        if (n <= 0)
          return false;
        bytes += n;
        size -= static_cast<std::size_t>(n);
      }
      return true;
    }
  };

  static sockaddr_in loopback(std::uint16_t port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(port);
    return address;
  }

  void accept_all() {
    for (;;) {
      const int client = ::accept(listener_, nullptr, nullptr);
      if (client < 0)
        return;
      const int broker = ::socket(AF_INET, SOCK_STREAM, 0);
      const auto address = loopback(to_);
      if (refusing_ || ::connect(broker, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
        ::close(client);
        ::close(broker);
        continue;
      }
      const int yes = 1;
      ::setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
      ::setsockopt(broker, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
      const std::lock_guard guard{mutex_};
      auto& c = connections_.emplace_back(std::make_unique<connection>());
      c->client = client;
      c->broker = broker;
      c->worker = std::thread{[p = c.get()] { p->run(); }};
    }
  }

  const std::uint16_t to_;
  const int listener_;
  std::uint16_t port_ = 0;
  std::atomic<bool> refusing_{false};
  std::mutex mutex_;
  std::list<std::unique_ptr<connection>> connections_;
  std::thread acceptor_;
};

} // namespace stargate::integration
