#include "libstargate/connection/tls.hpp"

#include <openssl/err.h>
#include <openssl/ssl.h>

#include <cerrno>
#include <cstring>
#include <fstream>

namespace stargate::connection {

namespace {

std::string last_openssl_error() {
  std::string text;
  while (const auto code = ERR_get_error())
    if (const auto* reason = ERR_reason_error_string(code))
      text = reason;
  return text.empty() ? "it is not in PEM format" : text;
}

[[noreturn]] void reject(const char* setting, const std::string& file, const std::string& why) {
  throw bad_tls_settings{std::string{setting} + " is '" + file + "', which cannot be used: " + why};
}

void require_readable(const char* setting, const std::string& file) {
  errno = 0;
  if (!std::ifstream{file})
    reject(setting, file, std::strerror(errno != 0 ? errno : EIO));
}

} // namespace

void free_tls_context::operator()(ssl_ctx_st* context) const noexcept {
  SSL_CTX_free(context);
}

tls_context make_tls_context(const tls_settings& settings) {
  ERR_clear_error();
  tls_context context{SSL_CTX_new(TLS_client_method())};
  auto* c = context.get();
  if (c == nullptr || SSL_CTX_set_min_proto_version(c, TLS1_2_VERSION) != 1)
    throw std::runtime_error{"OpenSSL could not set up TLS: " + last_openssl_error()};
  SSL_CTX_set_mode(c, SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
  // Without this, OpenSSL asks for a key's passphrase on the terminal of the process.
  SSL_CTX_set_default_passwd_cb(c, [](char*, int, int, void*) { return -1; });
  if (settings.ca_file.empty()) {
    if (SSL_CTX_set_default_verify_paths(c) != 1)
      throw std::runtime_error{"OpenSSL has no certificate authorities: " + last_openssl_error()};
  } else {
    require_readable("tls.ca_file", settings.ca_file);
    if (SSL_CTX_load_verify_file(c, settings.ca_file.c_str()) != 1)
      reject("tls.ca_file", settings.ca_file, last_openssl_error());
  }
  if (!settings.certificate_file.empty()) {
    require_readable("tls.certificate_file", settings.certificate_file);
    if (SSL_CTX_use_certificate_chain_file(c, settings.certificate_file.c_str()) != 1)
      reject("tls.certificate_file", settings.certificate_file, last_openssl_error());
    require_readable("tls.key_file", settings.key_file);
    if (SSL_CTX_use_PrivateKey_file(c, settings.key_file.c_str(), SSL_FILETYPE_PEM) != 1)
      reject("tls.key_file", settings.key_file, last_openssl_error());
  }
  ERR_clear_error();
  return context;
}

} // namespace stargate::connection
