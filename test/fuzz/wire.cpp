// A real connection of ours against a peer that says anything: the handshake's answer, frames, fragments, control
// frames, close codes, in any pieces. An input is how the peer behaves (two bytes), and what it sends.
#include "libstargate/connection/event_loop.hpp"

#include <openssl/evp.h>
#include <openssl/sha.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <semaphore>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace connection = stargate::connection;

namespace {

constexpr std::size_t max_frame = 2'000;
constexpr std::size_t addresses = 20; // of loopback: a closed connection keeps its ports for a while

[[noreturn]] void broken(const char* what) {
  std::fprintf(stderr, "%s\n", what);
  std::abort();
}

/// What every observer may count on, whatever the peer does.
class judge final : public connection::observer {
public:
  judge(std::binary_semaphore& ended, bool replaces) : ended_{ended}, replaces_{replaces} {}
  ~judge() override {
    if (ends_ != 1)
      broken("a connection had no end");
  }
  void on_open() override {
    if (std::exchange(open_, true) || ends_ > 0)
      broken("opened twice, or after its end");
  }
  void on_frames(std::vector<std::string> frames, connection::load) override {
    if (!open_ || ends_ > 0 || frames.empty())
      broken("frames of a connection that is not open, or none");
    for (const auto& f : frames)
      if (f.size() > max_frame)
        broken("a frame that is too large");
  }
  std::optional<std::string> on_oversized(std::string_view beginning, std::uint64_t size) override {
    if (size <= max_frame || beginning.empty())
      broken("a frame that is not too large");
    return replaces_ ? std::optional{std::string{"instead"}} : std::nullopt;
  }
  void on_end(connection::ended) override {
    if (++ends_ > 1)
      broken("ended twice");
    ended_.release();
  }

private:
  std::binary_semaphore& ended_;
  const bool replaces_;
  bool open_ = false;
  int ends_ = 0;
};

struct listener {
  int fd = -1;
  std::string host;
  std::uint16_t port = 0;

  explicit listener(std::size_t number) : fd{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)} {
    host = "127.0.0." + std::to_string(number + 1);
    sockaddr_in at{};
    at.sin_family = AF_INET;
    ::inet_pton(AF_INET, host.c_str(), &at.sin_addr);
    socklen_t size = sizeof at;
    if (::bind(fd, reinterpret_cast<sockaddr*>(&at), sizeof at) != 0 || ::listen(fd, 8) != 0
        || ::getsockname(fd, reinterpret_cast<sockaddr*>(&at), &size) != 0)
      broken("no socket to listen on");
    port = ntohs(at.sin_port);
  }
};

std::string accept_key(const std::string& request) {
  const std::string name = "Sec-WebSocket-Key: ";
  const auto at = request.find(name);
  if (at == std::string::npos)
    broken("a request without a key");
  const auto begin = at + name.size();
  const auto key = request.substr(begin, request.find("\r\n", begin) - begin) + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
  std::array<unsigned char, SHA_DIGEST_LENGTH> digest{};
  SHA1(reinterpret_cast<const unsigned char*>(key.data()), key.size(), digest.data());
  std::array<unsigned char, 64> text{};
  EVP_EncodeBlock(text.data(), digest.data(), static_cast<int>(digest.size()));
  return reinterpret_cast<char*>(text.data());
}

void write_pieces(int fd, const std::uint8_t* data, std::size_t size, std::size_t piece) {
  for (std::size_t at = 0; at < size;) {
    const auto n = ::send(fd, data + at, std::min(piece, size - at), MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR)
      continue;
    if (n <= 0)
      return;
    at += static_cast<std::size_t>(n);
  }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const auto loop = connection::event_loop::start();
  static const std::vector<listener> all = [] {
    std::vector<listener> list;
    for (std::size_t i = 0; i < addresses; ++i)
      list.emplace_back(i);
    return list;
  }();
  static std::size_t count = 0;
  if (size < 2)
    return 0;
  const auto manner = data[0], cut = data[1];
  data += 2;
  size -= 2;
  const bool answers = (manner & 1) != 0, resets = (manner & 6) == 6, replaces = (manner & 8) != 0,
             sends = (manner & 16) != 0, closes = (manner & 32) != 0;

  const auto& at = all[count++ % all.size()];
  std::binary_semaphore ended{0};
  connection::endpoint to{.host = at.host, .port = at.port, .path = "/ws/v2/consumer/persistent/public/default/t/s"};
  to.connect_timeout = std::chrono::seconds{5};
  to.max_frame = max_frame;
  auto link = loop->connect(to, std::make_unique<judge>(ended, replaces));
  int fd = -1;
  while ((fd = ::accept4(at.fd, nullptr, nullptr, SOCK_CLOEXEC)) < 0 && errno == EINTR) { // by the fuzzer's own clock
  }
  if (fd < 0)
    broken(std::strerror(errno));
  const int yes = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
  std::string request;
  std::array<char, 4096> buffer{};
  while (request.find("\r\n\r\n") == std::string::npos) {
    const auto n = ::recv(fd, buffer.data(), buffer.size(), 0);
    if (n < 0 && errno == EINTR)
      continue;
    if (n <= 0)
      break;
    request.append(buffer.data(), static_cast<std::size_t>(n));
  }
  if (answers) {
    const auto answer = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                        "Sec-WebSocket-Accept: "
                        + accept_key(request) + "\r\n\r\n";
    write_pieces(fd, reinterpret_cast<const std::uint8_t*>(answer.data()), answer.size(), answer.size());
  }
  if (sends) // our own frames are under way while the peer talks
    link->send({std::make_shared<const stargate::protocol::frame_text>("{}"),
                std::make_shared<const stargate::protocol::frame_text>(std::string(5'000, 'x'))});
  write_pieces(fd, data, size, cut == 0 ? size : cut);
  if (closes)
    link->close();
  if (resets) {
    const linger at_once{1, 0};
    ::setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    ::close(fd);
  } else {
    ::shutdown(fd, SHUT_WR);
  }
  if (!ended.try_acquire_for(std::chrono::seconds{15}))
    broken("the connection does not end, although the peer has");
  if (!resets)
    ::close(fd);
  return 0;
}
