/// @file
/// What a connection by TLS trusts and shows: made into an OpenSSL context once for each event loop.
#pragma once

#include <memory>
#include <stdexcept>
#include <string>

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

/// Reads the files. TLS 1.2 is the least that is spoken. @throws bad_tls_settings
[[nodiscard]] tls_context make_tls_context(const tls_settings& settings);

} // namespace stargate::connection
