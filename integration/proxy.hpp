/// @file
/// A TCP proxy between client and broker that makes faults on purpose.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <iterator>
#include <list>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace stargate::integration {

/// Which way bytes go: `up` is from the client to the broker.
enum class way : std::uint8_t { up, down };

/// It knows nothing of what it carries, so TLS goes through it as well. All faults may be set at any time.
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
    for (auto& c : connections_)
      c->finish();
  }

  std::uint16_t port() const { return port_; }

  // -- breaking what is there

  /// Breaks all connections, in whatever they are doing. Gives how many.
  std::size_t cut() {
    std::size_t count = 0;
    const std::lock_guard guard{mutex_};
    for (auto& c : connections_)
      count += c->cut() ? 1 : 0;
    changed_.notify_all();
    return count;
  }
  /// Breaks a connection when so many bytes more have gone that way, in the middle of a frame or wherever that is.
  void cut_after(way direction, std::int64_t bytes) { of(direction).cut_after = bytes; }
  /// How many connections broke by `cut_after`.
  std::size_t cuts() const { return cuts_; }
  /// Turns one bit of the next bytes that go that way.
  void corrupt(way direction) { of(direction).corrupt = true; }

  // -- what goes slowly, or not at all

  /// Takes and gives nothing that way any more: both together make a connection half-open.
  void stall(way direction, bool on) {
    of(direction).stalled = on;
    changed_.notify_all();
  }
  /// Holds back whatever goes that way.
  void delay(way direction, std::chrono::milliseconds time) { of(direction).delay = time.count(); }
  /// Lets so many bytes pass a second; 0 is no limit.
  void throttle(way direction, std::int64_t bytes_a_second) { of(direction).rate = bytes_a_second; }
  /// Closes a connection on which nothing went either way for so long, as load balancers do; 0 never does.
  void close_idle(std::chrono::milliseconds time) { idle_ = time.count(); }
  /// How many connections were closed for that.
  std::size_t idle_closes() const { return idle_closes_; }

  // -- looking on

  /// From now on keeps what clients send.
  void keep_sent() { keep_sent_ = true; }
  /// Gives what clients sent by the connections that have ended since the last call, a text each.
  std::vector<std::string> take_sent() {
    std::vector<std::string> result;
    const std::lock_guard guard{mutex_};
    for (const auto& c : connections_)
      if (!c->open && !c->sent.empty())
        result.push_back(std::exchange(c->sent, {}));
    return result;
  }

  // -- new connections

  /// Accepts connections and ends them at once.
  void refuse(bool on) { refusing_ = on; }
  /// Answers every handshake with this status; 0 passes handshakes on.
  void answer(int status) { status_ = status; }

  /// How many connections there are that were not cut.
  std::size_t open() {
    const std::lock_guard guard{mutex_};
    std::size_t count = 0;
    for (const auto& c : connections_)
      count += c->open ? 1 : 0;
    return count;
  }
  /// How many connections there ever were, those that were refused included.
  std::size_t attempts() const { return attempts_; }

private:
  struct faults {
    std::atomic<std::int64_t> cut_after{-1};
    std::atomic<bool> corrupt{false};
    std::atomic<bool> stalled{false};
    std::atomic<std::int64_t> delay{0}; // milliseconds
    std::atomic<std::int64_t> rate{0};
  };

  struct connection {
    int client;
    int broker;
    std::atomic<bool> open{true};
    std::atomic<std::int64_t> last_bytes{0}; // when anything went, in milliseconds
    std::string sent;                        // guarded by the proxy's mutex
    std::thread up, down;

    /// A reset, not an orderly end: whatever is on the way is lost.
    bool cut() {
      if (!open.exchange(false))
        return false;
      const linger hard{1, 0};
      ::setsockopt(client, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
      ::shutdown(client, SHUT_RDWR);
      ::shutdown(broker, SHUT_RDWR);
      return true;
    }
    void finish() {
      up.join();
      down.join();
      ::close(client);
      ::close(broker);
    }
  };

  static std::int64_t now() {
    return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now().time_since_epoch())
      .count();
  }

  faults& of(way direction) { return direction == way::up ? up_ : down_; }

  void pump(connection& c, way direction) {
    auto& f = of(direction);
    const int from = direction == way::up ? c.client : c.broker;
    const int to = direction == way::up ? c.broker : c.client;
    char buffer[16'384];
    while (c.open) {
      if (f.stalled) {
        std::unique_lock lock{mutex_};
        changed_.wait_for(lock, std::chrono::milliseconds{100}, [&] { return !f.stalled || !c.open; });
        continue;
      }
      pollfd waiting{from, POLLIN, 0};
      if (::poll(&waiting, 1, 20) == 0) {
        if (idle_ > 0 && now() - c.last_bytes > idle_ && c.cut())
          ++idle_closes_;
        continue;
      }
      if (f.stalled)
        continue;
      const auto n = ::recv(from, buffer, sizeof buffer, 0);
      if (n <= 0)
        break;
      c.last_bytes = now();
      if (keep_sent_ && direction == way::up) {
        const std::lock_guard guard{mutex_};
        c.sent.append(buffer, static_cast<std::size_t>(n));
      }
      if (!pass_on(c, f, to, buffer, n))
        break;
    }
    c.cut();
  }

  bool pass_on(connection& c, faults& f, int to, char* bytes, std::int64_t size) {
    if (f.delay > 0)
      std::this_thread::sleep_for(std::chrono::milliseconds{f.delay});
    if (f.rate > 0)
      std::this_thread::sleep_for(std::chrono::microseconds{size * 1'000'000 / f.rate});
    if (f.corrupt.exchange(false))
      bytes[size / 2] ^= 0x10;
    if (f.cut_after >= 0) {
      const auto left = f.cut_after.fetch_sub(size);
      if (left >= 0 && left < size) {
        f.cut_after = -1;
        forward(to, bytes, left);
        if (c.cut())
          ++cuts_;
        return false;
      }
    }
    return forward(to, bytes, size);
  }

  static bool forward(int to, const char* bytes, std::int64_t size) {
    while (size > 0) {
      const auto n = ::send(to, bytes, static_cast<std::size_t>(size), MSG_NOSIGNAL);
      if (n <= 0)
        return false;
      bytes += n;
      size -= n;
    }
    return true;
  }

  static sockaddr_in loopback(std::uint16_t port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(port);
    return address;
  }

  /// Gives back what connections held that have ended, and of which nothing is kept.
  void forget_ended() {
    std::list<std::unique_ptr<connection>> ended;
    {
      const std::lock_guard guard{mutex_};
      for (auto i = connections_.begin(); i != connections_.end();) {
        const auto next = std::next(i);
        if (!(*i)->open && (*i)->sent.empty())
          ended.splice(ended.end(), connections_, i);
        i = next;
      }
    }
    for (auto& c : ended)
      c->finish();
  }

  void accept_all() {
    for (;;) {
      const int client = ::accept(listener_, nullptr, nullptr);
      if (client < 0)
        return;
      ++attempts_;
      forget_ended();
      if (status_ > 0) {
        char request[4096];
        static_cast<void>(::recv(client, request, sizeof request, 0));
        const auto text = "HTTP/1.1 " + std::to_string(status_) + " Told so\r\nContent-Length: 0\r\n\r\n";
        static_cast<void>(::send(client, text.data(), text.size(), MSG_NOSIGNAL));
        ::close(client);
        continue;
      }
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
      auto* c = connections_.emplace_back(std::make_unique<connection>()).get();
      c->client = client;
      c->broker = broker;
      c->last_bytes = now();
      c->up = std::thread{[this, c] { pump(*c, way::up); }};
      c->down = std::thread{[this, c] { pump(*c, way::down); }};
    }
  }

  const std::uint16_t to_;
  const int listener_;
  std::uint16_t port_ = 0;
  faults up_, down_;
  std::atomic<bool> refusing_{false}, keep_sent_{false};
  std::atomic<int> status_{0};
  std::atomic<std::int64_t> idle_{0};
  std::atomic<std::size_t> cuts_{0}, idle_closes_{0}, attempts_{0};
  std::mutex mutex_;
  std::condition_variable changed_;
  std::list<std::unique_ptr<connection>> connections_;
  std::thread acceptor_;
};

} // namespace stargate::integration
