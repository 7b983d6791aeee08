/// @file
/// What connections by TLS trust and show: an OpenSSL context for each event loop, that keeps up with its files.
#pragma once

#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

struct ssl_ctx_st; // OpenSSL's SSL_CTX

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

struct free_tls_context {
  void operator()(ssl_ctx_st* context) const noexcept;
};
using tls_context = std::unique_ptr<ssl_ctx_st, free_tls_context>;

/// @par Threads one at a time
class tls {
public:
  /// Reads the files. TLS 1.2 is the least that is spoken. @throws bad_tls_settings
  explicit tls(tls_settings settings);

  [[nodiscard]] ssl_ctx_st* context() const { return context_.get(); }
  [[nodiscard]] bool trusts_anything() const { return settings_.trust_anything; }

  /// For the next connection: what was renewed on disk is taken up, all of it or nothing.
  /// @throws bad_tls_settings when it cannot be used, until it can be
  void keep_up();

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

} // namespace stargate::connection
