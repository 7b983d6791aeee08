#include "libstargate/connection/stream.hpp"

#include <openssl/err.h>
#include <openssl/ssl.h>

#include <linux/sockios.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <limits>
#include <memory>
#include <system_error>
#include <utility>

namespace stargate::connection {

namespace {

bool is_for_later(int error) {
  return error == EAGAIN || error == EWOULDBLOCK || error == EINTR;
}

int size_for_openssl(std::size_t size) {
  return static_cast<int>(std::min<std::size_t>(size, std::numeric_limits<int>::max()));
}

} // namespace

stream::stream(stream&& other) noexcept
  : socket_{std::exchange(other.socket_, -1)},
    secure_{std::move(other.secure_)},
    written_{other.written_},
    is_broken_{other.is_broken_},
    problem_{std::move(other.problem_)},
    is_about_trust_{other.is_about_trust_} {}

stream& stream::operator=(stream&& other) noexcept {
  stream moved{std::move(other)};
  std::swap(socket_, moved.socket_);
  std::swap(secure_, moved.secure_);
  std::swap(written_, moved.written_);
  std::swap(is_broken_, moved.is_broken_);
  std::swap(problem_, moved.problem_);
  std::swap(is_about_trust_, moved.is_about_trust_);
  return *this;
}

stream::~stream() {
  close();
}

stream::outcome stream::failed_with(int error) {
  is_broken_ = true;
  problem_ = std::generic_category().message(error);
  return outcome::failed;
}

stream::outcome stream::connect(const std::string& address, std::uint16_t port) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV;
  addrinfo* list = nullptr;
  if (::getaddrinfo(address.c_str(), std::to_string(port).c_str(), &hints, &list) != 0)
    return failed_with(EAFNOSUPPORT);
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> at{list, &::freeaddrinfo};
  socket_ = ::socket(at->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (socket_ < 0)
    return failed_with(errno);
  const int yes = 1;
  ::setsockopt(socket_, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
  if (::connect(socket_, at->ai_addr, at->ai_addrlen) == 0 || errno == EINPROGRESS || errno == EINTR)
    return outcome::wants_room;
  return failed_with(errno);
}

stream::outcome stream::finish_connect() {
  int error = 0;
  socklen_t size = sizeof error;
  if (::getsockopt(socket_, SOL_SOCKET, SO_ERROR, &error, &size) != 0)
    error = errno;
  return error == 0 ? outcome::done : failed_with(error);
}

void stream::secure(tls& by, const std::string& host) {
  secure_ = by.begin(socket_, host);
}

/// What OpenSSL wants when it did not do what it was asked.
stream::outcome stream::after_tls(int returned) {
  switch (SSL_get_error(secure_.get(), returned)) {
    case SSL_ERROR_WANT_READ: return outcome::wants_input;
    case SSL_ERROR_WANT_WRITE: return outcome::wants_room;
    case SSL_ERROR_ZERO_RETURN: return outcome::ended;
    case SSL_ERROR_SYSCALL:
      is_broken_ = true; // nothing more may be asked of OpenSSL
      ERR_clear_error();
      return errno == 0 ? outcome::ended : failed_with(errno);
    default: break;
  }
  const auto why = why_tls_failed(secure_.get());
  is_broken_ = true;
  problem_ = why.text;
  is_about_trust_ = why.is_about_trust;
  return outcome::failed;
}

stream::outcome stream::handshake() {
  ERR_clear_error();
  errno = 0;
  const int returned = SSL_do_handshake(secure_.get());
  return returned == 1 ? outcome::done : after_tls(returned);
}

stream::result stream::read(char* into, std::size_t size) {
  if (secure_) {
    ERR_clear_error();
    errno = 0;
    const int n = SSL_read(secure_.get(), into, size_for_openssl(size));
    return n > 0 ? result{outcome::done, static_cast<std::size_t>(n)} : result{after_tls(n)};
  }
  const auto n = ::recv(socket_, into, size, 0);
  if (n > 0)
    return {outcome::done, static_cast<std::size_t>(n)};
  if (n == 0)
    return {outcome::ended};
  return {is_for_later(errno) ? outcome::wants_input : failed_with(errno)};
}

stream::result stream::write(const void* from, std::size_t size) {
  if (secure_) {
    ERR_clear_error();
    errno = 0;
    const int n = SSL_write(secure_.get(), from, size_for_openssl(size));
    written_ += static_cast<std::uint64_t>(std::max(n, 0));
    return n > 0 ? result{outcome::done, static_cast<std::size_t>(n)} : result{after_tls(n)};
  }
  const auto n = ::send(socket_, from, size, MSG_NOSIGNAL);
  written_ += static_cast<std::uint64_t>(std::max<ssize_t>(n, 0));
  if (n >= 0)
    return {static_cast<std::size_t>(n) < size ? outcome::wants_room : outcome::done, static_cast<std::size_t>(n)};
  return {is_for_later(errno) ? outcome::wants_room : failed_with(errno)};
}

std::uint64_t stream::untaken() const {
  int bytes = 0;
  return ::ioctl(socket_, SIOCOUTQ, &bytes) == 0 && bytes > 0 ? static_cast<std::uint64_t>(bytes) : 0;
}

std::uint64_t stream::taken() const {
  return written_ - std::min(written_, untaken());
}

void stream::close() {
  if (secure_ && !is_broken_ && SSL_is_init_finished(secure_.get()) != 0) {
    SSL_shutdown(secure_.get());
    ERR_clear_error();
  }
  secure_.reset();
  if (socket_ >= 0)
    ::close(std::exchange(socket_, -1));
}

} // namespace stargate::connection
