#include "libstargate/connection/tls.hpp"

#include <openssl/err.h>
#include <openssl/ssl.h>

#include <sys/stat.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <utility>

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

tls_context make_context(const tls_settings& settings) {
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

} // namespace

void free_tls_context::operator()(ssl_ctx_st* context) const noexcept {
  SSL_CTX_free(context);
}

tls::tls(tls_settings settings) : settings_{std::move(settings)}, read_{stamps()}, context_{make_context(settings_)} {}

std::vector<tls::stamp> tls::stamps() const {
  std::vector<stamp> result;
  for (const auto* file : {&settings_.ca_file, &settings_.certificate_file, &settings_.key_file}) {
    struct stat s {};
    if (file->empty() || ::stat(file->c_str(), &s) != 0)
      result.emplace_back();
    else
      result.push_back(
        {s.st_dev, s.st_ino, static_cast<std::uint64_t>(s.st_size), s.st_mtim.tv_sec, s.st_mtim.tv_nsec});
  }
  return result;
}

void tls::keep_up() {
  auto now = stamps();
  if (now == read_)
    return;
  // libwebsockets holds on to the context that it was given, so what is new goes into that one.
  const auto next = make_context(settings_);
  auto* const from = next.get();
  auto* const to = context_.get();
  if (!settings_.certificate_file.empty()) {
    STACK_OF(X509)* chain = nullptr;
    SSL_CTX_get0_chain_certs(from, &chain);
    if (SSL_CTX_use_cert_and_key(to, SSL_CTX_get0_certificate(from), SSL_CTX_get0_privatekey(from), chain, 1) != 1)
      reject("tls.certificate_file", settings_.certificate_file, last_openssl_error());
  }
  SSL_CTX_set1_cert_store(to, SSL_CTX_get_cert_store(from));
  read_ = std::move(now);
}

} // namespace stargate::connection
