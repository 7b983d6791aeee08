// The limit: what no client can be cheaper than that does the work. One thread and one socket, as many frames a call as
// there are; payloads are encoded and decoded, JSON is written and looked through; nothing else is done.
//
//     stargate-limit produce|kept|pingpong|paced|consume|receive|read PORT PATH COUNT SIZE OUTSTANDING [SOCKETS]
//
// Each of several sockets has a path of its own: `{}` in PATH is its number. `produce` writes to one after the other, 100
// messages each, as `stargate perf` does.
// `kept` produces as one that loses nothing has to: each payload is another, and its frame is kept until its receipt.
// `paced` produces at a rate, OUTSTANDING messages a second, and tells how long receipts took. `receive` consumes, and tells how
// long ago messages were published.
// As stargate-floor, which is what a plain client does.
#include "libstargate/connection/frame_reader.hpp"
#include "libstargate/connection/handshake.hpp"
#include "libstargate/connection/masking.hpp"
#include "libstargate/protocol/base64.hpp"
#include "libstargate/protocol/instant.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

using namespace stargate;

namespace {

using clock_type = std::chrono::steady_clock;

constexpr std::size_t most_written_at_once = 256u << 10;
constexpr std::size_t most_to_one_of_several = 100;

[[noreturn]] void fail(const char* why) {
  std::fprintf(stderr, "stargate-limit: %s\n", why);
  std::exit(1);
}

double processor_seconds() {
  rusage used{};
  getrusage(RUSAGE_SELF, &used);
  return static_cast<double>(used.ru_utime.tv_sec + used.ru_stime.tv_sec)
         + static_cast<double>(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
}

int connected(std::uint16_t port) {
  sockaddr_in at{};
  at.sin_family = AF_INET;
  at.sin_port = htons(port);
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int yes = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
  if (::connect(fd, reinterpret_cast<const sockaddr*>(&at), sizeof at) != 0)
    fail("no connection");
  return fd;
}

/// What all sockets have in common.
struct work {
  std::string mode;
  std::size_t count, outstanding;
  std::chrono::nanoseconds pace; ///< From one message to the next, when it is `paced`.
  std::string payload;
  std::size_t sent = 0, got = 0;
  clock_type::time_point began;
  std::vector<long> latencies; ///< Of ping-pong, at a pace, and of what is received, in microseconds.
  std::vector<char> buffer = std::vector<char>(256u << 10);
  std::string text, decoded;
  std::vector<std::string> messages;

  work(std::string m, std::size_t c, std::size_t size, std::size_t o)
    : mode{std::move(m)},
      count{c},
      outstanding{mode == "pingpong" ? 1
                  : mode == "paced"  ? count
                                     : o},
      pace{mode == "paced" ? std::chrono::nanoseconds{1'000'000'000 / std::max<std::size_t>(o, 1)}
                           : std::chrono::nanoseconds{0}},
      payload(size, 'x') {}

  [[nodiscard]] bool is_producer() const {
    return mode == "produce" || mode == "kept" || mode == "pingpong" || mode == "paced";
  }
  [[nodiscard]] bool may_send() const {
    return sent < count && sent - got < outstanding && (mode != "paced" || due() <= clock_type::now());
  }
  /// When the next message is to be sent; and when the last one was to be, which is when its wait begins.
  [[nodiscard]] clock_type::time_point due() const { return began + pace * static_cast<std::int64_t>(sent); }
  [[nodiscard]] clock_type::time_point due_before() const { return due() - pace; }
  void took(clock_type::duration time) {
    latencies.push_back(static_cast<long>(std::chrono::duration_cast<std::chrono::microseconds>(time).count()));
  }
};

class client final : public connection::frame_events {
public:
  client(work& of, int fd) : of_{of}, fd_{fd} {}

  void upgrade(const std::string& path, std::uint16_t port) {
    const auto key = connection::make_key();
    const auto request = connection::upgrade_request({.host = "127.0.0.1", .port = port, .path = path}, key);
    if (::send(fd_, request.data(), request.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(request.size()))
      fail("no handshake");
    connection::answer_reader answer{true};
    while (answer.feed(received()) == connection::answer_reader::outcome::wants_more) {
    }
    if (answer.status() != 101 || !connection::wrong_with_upgrade(answer, key).empty())
      fail("the handshake was refused");
    take(answer.behind());
  }

  [[nodiscard]] int socket() const { return fd_; }
  [[nodiscard]] bool has_output() const { return written_ < out_.size(); }

  void read() { take(received()); }

  void write() {
    const auto n = ::send(fd_, out_.data() + written_, out_.size() - written_, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0 && errno != EAGAIN)
      fail("the connection broke");
    written_ += static_cast<std::size_t>(std::max<ssize_t>(n, 0));
    if (written_ == out_.size()) {
      out_.clear();
      written_ = 0;
    }
  }

  /// Appends what may be sent, and so many messages at most.
  void fill(std::size_t most) {
    for (; most > 0 && of_.may_send() && out_.size() < most_written_at_once; --most) {
      auto& text = of_.text;
      text = R"({"payload":")";
      protocol::append_base64(text, of_.mode == "kept" ? std::string(of_.payload.size(), 'x') : of_.payload);
      text += R"(","context":")";
      text += std::to_string(of_.sent++);
      text += "\"}";
      connection::append_masked_frame(out_, text);
      if (of_.mode == "kept")
        kept_.push_back(std::exchange(text, {}));
      sent_at_.push_back(of_.mode == "paced" ? of_.due_before() : clock_type::now());
    }
  }

  std::uint32_t watched_for = EPOLLIN;

private:
  std::string_view received() {
    const auto n = ::recv(fd_, of_.buffer.data(), of_.buffer.size(), 0);
    if (n <= 0)
      fail("the connection broke");
    return {of_.buffer.data(), static_cast<std::size_t>(n)};
  }

  void take(std::string_view bytes) {
    of_.messages.clear();
    if (reader_.feed(bytes, of_.messages, *this) != connection::frame_reader::outcome::fine)
      fail("the broker closed");
    for (const auto& text : of_.messages) {
      ++of_.got;
      if (of_.is_producer()) {
        if (text.find("\"ok\"") == std::string::npos)
          fail("a message was refused");
        if (of_.mode == "kept")
          kept_.pop_front();
        if (of_.mode == "pingpong" || of_.mode == "paced")
          of_.took(clock_type::now() - sent_at_.front());
        sent_at_.pop_front();
        continue;
      }
      if (!protocol::decode_base64(value_of(text, "\"payload\":\""), of_.decoded))
        fail("a payload that is no base64");
      std::chrono::system_clock::time_point published;
      if (of_.mode == "receive" && protocol::parse_instant(value_of(text, "\"publishTime\":\""), published))
        of_.took(std::chrono::duration_cast<clock_type::duration>(std::chrono::system_clock::now() - published));
      of_.text = R"({"messageId":")";
      of_.text += value_of(text, "\"messageId\":\"");
      of_.text += "\"}";
      connection::append_masked_frame(out_, of_.text);
    }
  }

  static std::string_view value_of(std::string_view text, std::string_view name) {
    const auto at = text.find(name);
    if (at == std::string_view::npos)
      fail("a frame without what it should have");
    const auto begin = at + name.size();
    return text.substr(begin, text.find('"', begin) - begin);
  }

  void on_ping(std::string_view payload) override {
    connection::append_masked_frame(out_, payload, connection::opcode::pong);
  }
  void on_close(int, std::string_view) override {}
  std::optional<std::string> on_oversized(std::string_view, std::uint64_t) override { return std::nullopt; }

  work& of_;
  const int fd_;
  std::deque<std::string> kept_;
  connection::byte_buffer out_;
  std::size_t written_ = 0;
  std::deque<clock_type::time_point> sent_at_;
  connection::frame_reader reader_{64u << 20};
};

/// All sockets, watched by one thread.
class clients {
public:
  clients(work& of, std::string path, std::uint16_t port, std::size_t sockets) : of_{of} {
    for (std::size_t i = 0; i < sockets; ++i) {
      all_.push_back(std::make_unique<client>(of, connected(port)));
      const auto at = path.find("{}");
      all_.back()->upgrade(at == std::string::npos ? path : std::string{path}.replace(at, 2, std::to_string(i)), port);
      watch(*all_.back(), EPOLL_CTL_ADD);
    }
    of.began = clock_type::now();
  }

  /// Until all is received, and the last acknowledgement is written.
  void run() {
    const auto at_once = all_.size() == 1 ? of_.count : most_to_one_of_several;
    std::vector<epoll_event> events(256);
    while (of_.got < of_.count || owing_ > 0) {
      for (; of_.is_producer() && of_.may_send() && !next().has_output(); ++next_) {
        next().fill(at_once);
        flush(next());
      }
      const auto found = ::epoll_pwait2(epoll_, events.data(), static_cast<int>(events.size()), wait(), nullptr);
      if (found < 0)
        fail("epoll");
      for (int i = 0; i < found; ++i) {
        auto& c = *static_cast<client*>(events[static_cast<std::size_t>(i)].data.ptr);
        if ((events[static_cast<std::size_t>(i)].events & ~std::uint32_t{EPOLLOUT}) != 0)
          c.read();
        flush(c);
      }
    }
  }

private:
  client& next() { return *all_[next_ % all_.size()]; }

  void flush(client& c) {
    if (c.has_output())
      c.write();
    const std::uint32_t wanted = EPOLLIN | (c.has_output() ? std::uint32_t{EPOLLOUT} : 0);
    if (wanted == std::exchange(c.watched_for, wanted))
      return;
    watch(c, EPOLL_CTL_MOD);
    owing_ += c.has_output() ? 1 : -1;
  }

  void watch(client& c, int how) {
    epoll_event e{.events = c.watched_for, .data = {.ptr = &c}};
    if (::epoll_ctl(epoll_, how, c.socket(), &e) != 0)
      fail("epoll_ctl");
  }

  /// @returns nothing where it may wait for ever
  const timespec* wait() {
    if (of_.mode != "paced" || of_.sent == of_.count)
      return nullptr;
    const auto time = std::max(of_.due() - clock_type::now(), clock_type::duration{0});
    at_most_ = {static_cast<time_t>(time / std::chrono::seconds{1}),
                static_cast<long>((time % std::chrono::seconds{1}).count())};
    return &at_most_;
  }

  work& of_;
  std::vector<std::unique_ptr<client>> all_;
  const int epoll_ = ::epoll_create1(EPOLL_CLOEXEC);
  timespec at_most_{};
  std::size_t next_ = 0;
  std::ptrdiff_t owing_ = 0; ///< Sockets that have not taken all.
};

} // namespace

int main(int argc, char** argv) {
  if (argc != 7 && argc != 8) {
    std::fprintf(stderr, "usage: stargate-limit produce|kept|pingpong|paced|consume|receive|read PORT PATH COUNT SIZE "
                         "OUTSTANDING [SOCKETS]\n");
    return 2;
  }
  const auto port = static_cast<std::uint16_t>(std::atoi(argv[2]));
  work w{argv[1], std::strtoull(argv[4], nullptr, 10), std::strtoull(argv[5], nullptr, 10),
         std::strtoull(argv[6], nullptr, 10)};
  clients all{w, argv[3], port, argc == 8 ? std::strtoull(argv[7], nullptr, 10) : 1};
  const double processor = processor_seconds();
  all.run();
  const double seconds = std::chrono::duration<double>(clock_type::now() - w.began).count();
  const double used = processor_seconds() - processor;
  std::sort(w.latencies.begin(), w.latencies.end());
  const auto share = [&](double of_all) {
    return w.latencies.empty()
             ? 0
             : w.latencies[std::min(w.latencies.size() - 1,
                                    static_cast<std::size_t>(of_all * static_cast<double>(w.latencies.size())))];
  };
  std::printf("{\"messages\":%zu,\"seconds\":%.4f,\"rate\":%.1f,\"processorMicros\":%.3f,\"medianMicros\":%ld,"
              "\"p99Micros\":%ld,\"p999Micros\":%ld}\n",
              w.count, seconds, static_cast<double>(w.count) / seconds, used * 1e6 / static_cast<double>(w.count),
              share(0.5), share(0.99), share(0.999));
  return 0;
}
