// The limit: what no client can be cheaper than that does the work. One thread and one socket, as many frames a call as
// there are; payloads are encoded and decoded, JSON is written and looked through; nothing else is done.
//
//     stargate-limit produce|kept|pingpong|paced|consume|receive|read PORT PATH COUNT SIZE OUTSTANDING
//
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
#include <poll.h>
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
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

using namespace stargate;

namespace {

using clock_type = std::chrono::steady_clock;

constexpr std::size_t most_written_at_once = 256u << 10;

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

class client final : connection::frame_events {
public:
  client(std::string mode, int fd, std::size_t count, std::size_t size, std::size_t outstanding)
    : mode_{std::move(mode)},
      fd_{fd},
      count_{count},
      outstanding_{mode_ == "pingpong" ? 1
                   : mode_ == "paced"  ? count
                                       : outstanding},
      pace_{mode_ == "paced" ? std::chrono::nanoseconds{1'000'000'000 / std::max<std::size_t>(outstanding, 1)}
                             : std::chrono::nanoseconds{0}},
      payload_(size, 'x') {}

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
    began = clock_type::now();
    take(answer.behind());
  }

  /// Until all is received, and the last acknowledgement is written.
  void run() {
    while (got_ < count_ || written_ < out_.size()) {
      fill();
      pollfd p{fd_, static_cast<short>(POLLIN | (written_ < out_.size() ? POLLOUT : 0)), 0};
      const auto wait = mode_ == "paced" && sent_ < count_
                          ? std::max(due() - clock_type::now(), clock_type::duration{0})
                          : clock_type::duration{std::chrono::hours{1}};
      const timespec at_most{static_cast<time_t>(wait / std::chrono::seconds{1}),
                             static_cast<long>((wait % std::chrono::seconds{1}).count())};
      if (::ppoll(&p, 1, &at_most, nullptr) < 0)
        fail("poll");
      if ((p.revents & POLLOUT) != 0) {
        const auto n = ::send(fd_, out_.data() + written_, out_.size() - written_, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno != EAGAIN)
          fail("the connection broke");
        written_ += static_cast<std::size_t>(std::max<ssize_t>(n, 0));
      }
      if ((p.revents & ~POLLOUT) != 0)
        take(received());
    }
  }

  clock_type::time_point began;
  std::vector<long> latencies; // of ping-pong, at a pace, and of what is received, in microseconds

private:
  std::string_view received() {
    const auto n = ::recv(fd_, buffer_.data(), buffer_.size(), 0);
    if (n <= 0)
      fail("the connection broke");
    return {buffer_.data(), static_cast<std::size_t>(n)};
  }

  void fill() {
    if (written_ == out_.size()) {
      out_.clear();
      written_ = 0;
    }
    if (!is_producer())
      return;
    while ((mode_ != "paced" || due() <= clock_type::now()) && sent_ < count_ && sent_ - got_ < outstanding_
           && out_.size() < most_written_at_once) {
      text_ = R"({"payload":")";
      protocol::append_base64(text_, mode_ == "kept" ? std::string(payload_.size(), 'x') : payload_);
      text_ += R"(","context":")";
      text_ += std::to_string(sent_++);
      text_ += "\"}";
      connection::append_masked_frame(out_, text_);
      if (mode_ == "kept")
        kept_.push_back(std::exchange(text_, {}));
      sent_at_.push_back(mode_ == "paced" ? due_before() : clock_type::now());
    }
  }

  void take(std::string_view bytes) {
    messages_.clear();
    if (reader_.feed(bytes, messages_, *this) != connection::frame_reader::outcome::fine)
      fail("the broker closed");
    for (const auto& text : messages_) {
      ++got_;
      if (is_producer()) {
        if (text.find("\"ok\"") == std::string::npos)
          fail("a message was refused");
        if (mode_ == "kept")
          kept_.pop_front();
        if (mode_ == "pingpong" || mode_ == "paced")
          latencies.push_back(static_cast<long>(
            std::chrono::duration_cast<std::chrono::microseconds>(clock_type::now() - sent_at_.front()).count()));
        sent_at_.pop_front();
        continue;
      }
      if (!protocol::decode_base64(value_of(text, "\"payload\":\""), decoded_))
        fail("a payload that is no base64");
      std::chrono::system_clock::time_point published;
      if (mode_ == "receive" && protocol::parse_instant(value_of(text, "\"publishTime\":\""), published))
        latencies.push_back(static_cast<long>(
          std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::system_clock::now() - published).count()));
      text_ = R"({"messageId":")";
      text_ += value_of(text, "\"messageId\":\"");
      text_ += "\"}";
      connection::append_masked_frame(out_, text_);
    }
  }

  [[nodiscard]] bool is_producer() const {
    return mode_ == "produce" || mode_ == "kept" || mode_ == "pingpong" || mode_ == "paced";
  }
  /// When the next message is to be sent; and when the last one was to be, which is when its wait begins.
  [[nodiscard]] clock_type::time_point due() const { return began + pace_ * static_cast<std::int64_t>(sent_); }
  [[nodiscard]] clock_type::time_point due_before() const { return due() - pace_; }

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

  const std::string mode_;
  const int fd_;
  const std::size_t count_, outstanding_;
  const std::chrono::nanoseconds pace_;
  const std::string payload_;
  std::string text_, decoded_;
  std::deque<std::string> kept_;
  connection::byte_buffer out_;
  std::size_t written_ = 0, sent_ = 0, got_ = 0;
  std::deque<clock_type::time_point> sent_at_;
  std::vector<char> buffer_ = std::vector<char>(256u << 10);
  std::vector<std::string> messages_;
  connection::frame_reader reader_{64u << 20};
};

} // namespace

int main(int argc, char** argv) {
  if (argc != 7) {
    std::fprintf(
      stderr,
      "usage: stargate-limit produce|kept|pingpong|paced|consume|receive|read PORT PATH COUNT SIZE OUTSTANDING\n");
    return 2;
  }
  const auto port = static_cast<std::uint16_t>(std::atoi(argv[2]));
  const auto count = std::strtoull(argv[4], nullptr, 10);
  client c{argv[1], connected(port), count, std::strtoull(argv[5], nullptr, 10), std::strtoull(argv[6], nullptr, 10)};
  c.upgrade(argv[3], port);
  const double processor = processor_seconds();
  c.run();
  const double seconds = std::chrono::duration<double>(clock_type::now() - c.began).count();
  const double used = processor_seconds() - processor;
  std::sort(c.latencies.begin(), c.latencies.end());
  const auto share = [&](double of_all) {
    return c.latencies.empty()
             ? 0
             : c.latencies[std::min(c.latencies.size() - 1,
                                    static_cast<std::size_t>(of_all * static_cast<double>(c.latencies.size())))];
  };
  std::printf("{\"messages\":%llu,\"seconds\":%.4f,\"rate\":%.1f,\"processorMicros\":%.3f,\"medianMicros\":%ld,"
              "\"p99Micros\":%ld,\"p999Micros\":%ld}\n",
              count, seconds, static_cast<double>(count) / seconds, used * 1e6 / static_cast<double>(count), share(0.5),
              share(0.99), share(0.999));
  return 0;
}
