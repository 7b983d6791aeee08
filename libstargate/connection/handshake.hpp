/// @file
/// The words with which a WebSocket connection begins: HTTP/1.1's request and answer, a proxy's before them.
/// RFC 6455, section 4; RFC 9112; RFC 9110, section 9.3.6.
#pragma once

#include "libstargate/connection/proxy.hpp"
#include "libstargate/connection/transport.hpp"

#include <cstddef>
#include <string>
#include <string_view>

namespace stargate::connection {

/// What servers take of path and headers, and what is taken of an answer's headers; bytes.
inline constexpr std::size_t most_request = 16u << 10;
inline constexpr std::size_t most_answer_headers = 32u << 10;
inline constexpr std::size_t most_answer_body = 64u << 10;

/// `host:port`, as it stands in a Host header: an IPv6 address in brackets.
[[nodiscard]] std::string authority_of(const endpoint& to);

/// The bytes of path and headers that `upgrade_request` would send.
[[nodiscard]] std::size_t request_size(const endpoint& to);

/// Sixteen random bytes in base64, for one handshake. @throws std::runtime_error when OpenSSL has none
[[nodiscard]] std::string make_key();

[[nodiscard]] std::string upgrade_request(const endpoint& to, std::string_view key);
[[nodiscard]] std::string connect_request(const endpoint& to, const proxy& through);

/// An answer, as it comes in pieces.
class answer_reader {
public:
  /// @param has_body whether a body follows a status that is not 101 or 2xx; CONNECT's has none that matters
  explicit answer_reader(bool has_body) : has_body_{has_body} {}

  enum class outcome {
    wants_more,
    whole,   ///< Head and body, or as much of the body as is kept.
    no_http, ///< `problem` says what came in its place.
  };
  /// Takes the next bytes. What is behind a whole answer is in `behind`.
  [[nodiscard]] outcome feed(std::string_view bytes);
  /// Nothing more will come. Whole, when that is how the body ends, or the head at least is there.
  [[nodiscard]] outcome end();

  [[nodiscard]] const std::string& problem() const { return problem_; }
  [[nodiscard]] bool has_head() const { return head_size_ > 0; }
  [[nodiscard]] int status() const { return status_; }
  [[nodiscard]] std::string_view reason() const { return reason_; }
  /// The value of a header, by its name in small letters; several of one name with commas between. Empty when it is not there.
  [[nodiscard]] std::string header(std::string_view name) const;
  /// Status line, headers and body, as they came.
  [[nodiscard]] std::string_view text() const { return text_; }
  [[nodiscard]] std::string_view behind() const { return behind_; }

private:
  [[nodiscard]] outcome read_head(std::size_t end);
  [[nodiscard]] outcome read_body();
  [[nodiscard]] outcome no_http(std::string problem);

  const bool has_body_;
  std::string text_;
  std::string behind_;
  std::string problem_;
  std::size_t head_size_ = 0;
  std::size_t body_size_ = std::string::npos; ///< Or unknown.
  bool is_chunked_ = false;
  int status_ = 0;
  std::string reason_;
};

/// Whether a 101 is the answer to the request with this key; otherwise what is wrong with it.
[[nodiscard]] std::string wrong_with_upgrade(const answer_reader& answer, std::string_view key);

} // namespace stargate::connection
