/// @file
/// What connections by TLS trust and show: an OpenSSL context for each event loop, that keeps up with its files.
#pragma once

#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

struct ssl_ctx_st; // OpenSSL's SSL_CTX
struct ssl_st;     // OpenSSL's SSL

namespace stargate::connection {

struct tls_settings {
  std::string ca_file;          ///< PEM. Empty: the certificate authorities of the operating system.
  std::string certificate_file; ///< PEM, the chain of this side, for mutual TLS. Empty: none is shown.
  std::string key_file;         ///< PEM, without a passphrase; belongs to the certificate.
  bool trust_anything = false;  ///< Neither the chain nor the host's name is checked.
};

/// A file of the settings cannot be used. The text names the setting, the file, and why.
class bad_tls_settings : public std::runtime_error {
public:
  using std::runtime_error::runtime_error;
};

struct free_tls {
  void operator()(ssl_ctx_st* context) const noexcept;
  void operator()(ssl_st* connection) const noexcept;
};
using tls_context = std::unique_ptr<ssl_ctx_st, free_tls>;
using tls_connection = std::unique_ptr<ssl_st, free_tls>;

/// @par Threads one at a time
class tls {
public:
  /// Reads the files. TLS 1.2 is the least that is spoken. @throws bad_tls_settings
  explicit tls(tls_settings settings);

  /// For the next connection to a host, whose certificate is to be its: what was renewed on disk is taken up, all of it or
  /// nothing. @throws bad_tls_settings when it cannot be used, until it can be
  [[nodiscard]] tls_connection begin(int socket, const std::string& host);

private:
  /// Tells one content of a file from another.
  struct stamp {
    std::uint64_t device = 0, inode = 0, size = 0;
    std::int64_t seconds = 0, nanoseconds = 0;
    friend bool operator==(const stamp&, const stamp&) = default;
  };
  [[nodiscard]] std::vector<stamp> stamps() const;

  tls_settings settings_;
  std::vector<stamp> read_;
  tls_context context_;
};

/// Why OpenSSL did not go on with a connection, for people: what it thinks of the peer's certificate or of its proof to have
/// the key, what the peer says of ours, or what is wrong with the bytes. `is_about_trust` unless it is the bytes.
struct tls_failure {
  std::string text;
  bool is_about_trust = false;
};
/// @return what this thread's error queue says, which is empty then
/// @par Threads the one whose call has failed, before its next
[[nodiscard]] tls_failure why_tls_failed(const ssl_st* connection);

} // namespace stargate::connection
