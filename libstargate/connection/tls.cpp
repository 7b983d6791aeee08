#include "libstargate/connection/tls.hpp"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <utility>

namespace stargate::connection {

namespace {

constexpr std::size_t read_buffer = 64u << 10;

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

bool is_address(const std::string& host) {
  in6_addr address{};
  return ::inet_pton(AF_INET, host.c_str(), &address) == 1 || ::inet_pton(AF_INET6, host.c_str(), &address) == 1;
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
  SSL_CTX_set_mode(c, SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_options(c, SSL_OP_IGNORE_UNEXPECTED_EOF); // WebSocket has an end of its own
  SSL_CTX_set_read_ahead(c, 1);                         // one call for several records
  SSL_CTX_set_default_read_buffer_len(c, read_buffer);
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

// OpenSSL's own way to a socket raises SIGPIPE when the peer has gone, in whichever thread writes.

int write_socket(BIO* bio, const char* from, int size) {
  BIO_clear_retry_flags(bio);
  const auto n = ::send(static_cast<int>(reinterpret_cast<std::intptr_t>(BIO_get_data(bio))), from,
                        static_cast<std::size_t>(size), MSG_NOSIGNAL);
  if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
    BIO_set_retry_write(bio);
  return static_cast<int>(n);
}

int read_socket(BIO* bio, char* into, int size) {
  BIO_clear_retry_flags(bio);
  const auto n = ::recv(static_cast<int>(reinterpret_cast<std::intptr_t>(BIO_get_data(bio))), into,
                        static_cast<std::size_t>(size), 0);
  if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
    BIO_set_retry_read(bio);
  if (n == 0)
    BIO_set_flags(bio, BIO_FLAGS_IN_EOF);
  return static_cast<int>(n);
}

long control_socket(BIO* bio, int command, long, void*) {
  switch (command) {
    case BIO_CTRL_FLUSH: return 1;
    case BIO_CTRL_EOF: return BIO_test_flags(bio, BIO_FLAGS_IN_EOF) != 0 ? 1 : 0;
    default: return 0;
  }
}

BIO_METHOD* socket_method() {
  static BIO_METHOD* const method = [] {
    auto* m = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "socket without signals");
    if (m != nullptr) {
      BIO_meth_set_write(m, write_socket);
      BIO_meth_set_read(m, read_socket);
      BIO_meth_set_ctrl(m, control_socket);
    }
    return m;
  }();
  return method;
}

/// Gives the connection its socket, which it does not close.
bool set_socket(SSL* s, int socket) {
  auto* const method = socket_method();
  auto* const bio = method == nullptr ? nullptr : BIO_new(method);
  if (bio == nullptr)
    return false;
  BIO_set_data(bio, reinterpret_cast<void*>(static_cast<std::intptr_t>(socket)));
  BIO_set_init(bio, 1);
  SSL_set_bio(s, bio, bio);
  return true;
}

} // namespace

void free_tls::operator()(ssl_ctx_st* context) const noexcept {
  SSL_CTX_free(context);
}

void free_tls::operator()(ssl_st* connection) const noexcept {
  SSL_free(connection);
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

tls_connection tls::begin(int socket, const std::string& host) {
  if (auto now = stamps(); now != read_) {
    context_ = make_context(settings_); // those that stand keep the old one
    read_ = std::move(now);
  }
  ERR_clear_error();
  tls_connection made{SSL_new(context_.get())};
  auto* const s = made.get();
  if (s == nullptr || !set_socket(s, socket))
    throw std::runtime_error{"OpenSSL could not begin a connection: " + last_openssl_error()};
  SSL_set_connect_state(s);
  if (settings_.trust_anything) {
    SSL_set_verify(s, SSL_VERIFY_NONE, nullptr);
  } else {
    auto* const how = SSL_get0_param(s);
    X509_VERIFY_PARAM_set_hostflags(how, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    if (!is_address(host) ? X509_VERIFY_PARAM_set1_host(how, host.c_str(), 0) != 1
                          : X509_VERIFY_PARAM_set1_ip_asc(how, host.c_str()) != 1)
      throw std::runtime_error{"OpenSSL takes no host of this name: " + last_openssl_error()};
    SSL_set_verify(s, SSL_VERIFY_PEER, nullptr);
  }
  if (!is_address(host)) // RFC 6066: not for addresses
    SSL_set_tlsext_host_name(s, host.c_str());
  return made;
}

tls_failure why_tls_failed(const ssl_st* connection) {
  // What was wrong within a signature or the like comes first, and what that means for TLS after it; the numbers of reasons
  // are each library's own.
  unsigned long code = 0;
  while (const auto next = ERR_get_error())
    if (code == 0 || (ERR_GET_LIB(code) != ERR_LIB_SSL && ERR_GET_LIB(next) == ERR_LIB_SSL))
      code = next;
  const int reason = ERR_GET_LIB(code) == ERR_LIB_SSL ? ERR_GET_REASON(code) : 0;
  if (reason == SSL_R_CERTIFICATE_VERIFY_FAILED)
    return {std::string{"its certificate is refused: "}
              + X509_verify_cert_error_string(SSL_get_verify_result(connection)),
            true};
  if (reason == SSL_R_BAD_SIGNATURE)
    return {"its certificate is refused: it does not have the key of the certificate that it shows", true};
  if (reason >= SSL_AD_REASON_OFFSET) { // the peer's words
    const int alert = reason - SSL_AD_REASON_OFFSET;
    return {std::string{"it ends TLS: "}
              + (alert == TLS13_AD_CERTIFICATE_REQUIRED ? "a certificate of this side is required"
                                                        : SSL_alert_desc_string_long(alert)),
            true};
  }
  if (reason == SSL_R_WRONG_VERSION_NUMBER || reason == SSL_R_HTTP_REQUEST)
    return {"it answers without TLS: use ws:// and not wss://, or the port where it speaks TLS"};
  const auto* text = code == 0 ? nullptr : ERR_reason_error_string(code);
  return {text == nullptr ? "the connection broke within TLS" : std::string{"TLS went wrong: "} + text};
}

} // namespace stargate::connection
