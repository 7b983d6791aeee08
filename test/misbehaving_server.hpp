/// @file
/// A server on loopback for one connection, which does what a test tells it to, right or wrong.
#pragma once

#include <openssl/evp.h>
#include <openssl/sha.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>

namespace stargate::test {

class misbehaving_server {
public:
  /// The server's side of the connection. Reads end when the client is gone, or after some seconds.
  class peer {
  public:
    explicit peer(int fd) : fd_{fd} {
      const int yes = 1; // a header goes out before what follows it
      ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    }

    void write(const std::string& bytes) {
      for (std::size_t done = 0; done < bytes.size();) {
        const auto n = ::send(fd_, bytes.data() + done, bytes.size() - done, MSG_NOSIGNAL);
        if (n <= 0)
          return;
        done += static_cast<std::size_t>(n);
      }
    }

    std::string read_request() {
      std::string request;
      while (request.find("\r\n\r\n") == std::string::npos) {
        const auto c = read_byte();
        if (!c)
          break;
        request += static_cast<char>(*c);
      }
      return request;
    }

    /// Answers the handshake as it should be; gives the request.
    std::string accept_websocket(const std::string& more_headers = {}) {
      const auto request = read_request();
      const std::string name = "Sec-WebSocket-Key: ";
      const auto at = request.find(name) + name.size();
      const auto key = request.substr(at, request.find("\r\n", at) - at) + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
      unsigned char digest[SHA_DIGEST_LENGTH];
      SHA1(reinterpret_cast<const unsigned char*>(key.data()), key.size(), digest);
      unsigned char accept[64];
      EVP_EncodeBlock(accept, digest, sizeof digest);
      write("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "
            + std::string{reinterpret_cast<char*>(accept)} + "\r\n" + more_headers + "\r\n");
      return request;
    }

    /// Writes a text frame; with `fragment`, cut into so large fragments.
    void write_frame(const std::string& text, std::size_t fragment = std::string::npos) {
      for (std::size_t at = 0; at == 0 || at < text.size();) {
        const auto part = text.substr(at, fragment);
        const bool first = at == 0;
        at += part.size();
        const bool last = at >= text.size();
        write_header((last ? 0x80 : 0) | (first ? 1 : 0), part.size());
        write(part);
        if (text.empty())
          return;
      }
    }

    /// The header of a text frame of that size, whatever follows.
    void begin_frame(std::uint64_t size) { write_header(0x81, size); }

    void write_close(int code, const std::string& text) {
      write_header(0x88, text.size() + 2);
      write(std::string{static_cast<char>(code >> 8), static_cast<char>(code & 255)} + text);
    }

    /// The next text frame of the client; nothing when it closed or is gone. Pings are passed over.
    std::optional<std::string> read_frame() {
      for (;;) {
        const auto head = read_byte();
        const auto length = read_byte();
        if (!head || !length)
          return std::nullopt;
        std::uint64_t size = *length & 0x7f;
        const int more = size == 126 ? 2 : size == 127 ? 8 : 0;
        if (more > 0)
          size = 0;
        for (int i = 0; i < more; ++i)
          size = size << 8 | read_byte().value_or(0);
        unsigned char mask[4];
        for (auto& m : mask)
          m = read_byte().value_or(0);
        std::string text;
        for (std::uint64_t i = 0; i < size; ++i) {
          const auto c = read_byte();
          if (!c)
            return std::nullopt;
          text += static_cast<char>(*c ^ mask[i % 4]);
        }
        const int kind = *head & 0x0f;
        if (kind == 8) {
          if (text.size() >= 2)
            close_code_ = static_cast<unsigned char>(text[0]) << 8 | static_cast<unsigned char>(text[1]);
          write_close(close_code_, "");
          return std::nullopt;
        }
        if (kind == 1)
          return text;
      }
    }
    int close_code() const { return close_code_; }

    /// From here on it reads a buffer of 4 KiB in so long, and its system keeps little for it.
    void read_slowly(std::chrono::microseconds pace) {
      const int little = 32u << 10;
      ::setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &little, sizeof little);
      pace_ = pace;
    }

    /// Whether nothing comes for so long.
    bool is_quiet(int milliseconds) {
      pollfd p{fd_, POLLIN, 0};
      return at_ == buffered_ && ::poll(&p, 1, milliseconds) == 0;
    }

    /// Reads nothing, and returns when the client is gone.
    void wait_for_close() {
      pollfd p{fd_, POLLRDHUP, 0};
      ::poll(&p, 1, 10'000);
    }

  private:
    void write_header(int first_byte, std::uint64_t size) {
      std::string header(1, static_cast<char>(first_byte));
      if (size < 126) {
        header += static_cast<char>(size);
      } else {
        const int bytes = size < 65'536 ? 2 : 8;
        header += static_cast<char>(bytes == 2 ? 126 : 127);
        for (int i = bytes - 1; i >= 0; --i)
          header += static_cast<char>(size >> (8 * i) & 255);
      }
      write(header);
    }

    std::optional<unsigned char> read_byte() {
      if (at_ == buffered_) {
        pollfd p{fd_, POLLIN, 0};
        if (::poll(&p, 1, 10'000) <= 0)
          return std::nullopt;
        if (pace_.count() > 0)
          std::this_thread::sleep_for(pace_);
        const auto n = ::recv(fd_, buffer_, sizeof buffer_, 0);
        if (n <= 0)
          return std::nullopt;
        at_ = 0;
        buffered_ = static_cast<std::size_t>(n);
      }
      return buffer_[at_++];
    }

    int fd_;
    unsigned char buffer_[4096];
    std::size_t at_ = 0;
    std::size_t buffered_ = 0;
    int close_code_ = 0;
    std::chrono::microseconds pace_{0};
  };

  explicit misbehaving_server(std::function<void(peer&)> conduct) : listener_{::socket(AF_INET, SOCK_STREAM, 0)} {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    if (::bind(listener_, reinterpret_cast<sockaddr*>(&address), size) != 0 || ::listen(listener_, 1) != 0
        || ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size) != 0)
      throw std::runtime_error{"cannot listen on loopback"};
    port_ = ntohs(address.sin_port);
    thread_ = std::thread{[this, conduct = std::move(conduct)] {
      const int fd = ::accept(listener_, nullptr, nullptr);
      if (fd < 0)
        return;
      peer p{fd};
      conduct(p);
      ::close(fd);
    }};
  }
  misbehaving_server(const misbehaving_server&) = delete;
  misbehaving_server& operator=(const misbehaving_server&) = delete;
  ~misbehaving_server() {
    ::shutdown(listener_, SHUT_RDWR); // ends an accept that nobody answered
    thread_.join();
    ::close(listener_);
  }

  std::uint16_t port() const { return port_; }

private:
  int listener_;
  std::uint16_t port_ = 0;
  std::thread thread_;
};

} // namespace stargate::test
