/// @file
/// A socket that does not block, with TLS or without.
#pragma once

#include "libstargate/connection/tls.hpp"

#include <cstddef>
#include <cstdint>
#include <string>

namespace stargate::connection {

/// @par Threads one at a time
class stream {
public:
  stream() = default;
  stream(stream&& other) noexcept;
  stream& operator=(stream&& other) noexcept;
  ~stream();

  enum class outcome : std::uint8_t {
    done,        ///< Some bytes went or came, or the step is done.
    wants_input, ///< When there is something to read, it goes on;
    wants_room,  ///< when there is room to write.
    ended,       ///< The peer has ended it.
    failed,      ///< `problem` says why.
  };
  struct result {
    stream::outcome outcome = outcome::done;
    std::size_t bytes = 0;
  };

  /// Begins to connect to a numeric address: `wants_room`, or `failed`.
  [[nodiscard]] outcome connect(const std::string& address, std::uint16_t port);
  /// Once there is room: whether it is connected.
  [[nodiscard]] outcome finish_connect();
  /// From here on, TLS; `handshake` is next. @throws bad_tls_settings; std::runtime_error
  void secure(tls& by, const std::string& host);
  [[nodiscard]] outcome handshake();

  [[nodiscard]] result read(char* into, std::size_t size);
  /// Where it takes a part and `wants_room`, nothing more fits; where it takes a part and is `done`, more may fit.
  [[nodiscard]] result write(const void* from, std::size_t size);
  /// Whether something waits that the socket no longer shows. It is gone when `read` wants input.
  [[nodiscard]] bool may_have_more() const { return secure_ != nullptr; }
  /// How many bytes the peer's system has not acknowledged yet, of those that were written.
  [[nodiscard]] std::uint64_t untaken() const;
  /// How many it has, in all; where there is TLS, about as many.
  [[nodiscard]] std::uint64_t taken() const;
  /// Says goodbye and closes.
  void close();

  [[nodiscard]] int socket() const { return socket_; }
  [[nodiscard]] const std::string& problem() const { return problem_; }
  /// Whether the problem is one of certificates.
  [[nodiscard]] bool is_about_trust() const { return is_about_trust_; }

private:
  [[nodiscard]] outcome failed_with(int error);
  [[nodiscard]] outcome after_tls(int returned);

  int socket_ = -1;
  tls_connection secure_;
  std::uint64_t written_ = 0; ///< Bytes.
  bool is_broken_ = false;
  std::string problem_;
  bool is_about_trust_ = false;
};

} // namespace stargate::connection
