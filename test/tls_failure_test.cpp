#include "libstargate/connection/tls.hpp"

#include <catch2/catch.hpp>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>

using namespace stargate::connection;
using Catch::Matchers::Contains;

namespace {

template <auto Free>
struct free_by {
  template <class T>
  void operator()(T* freed) const {
    Free(freed);
  }
};
template <class T, auto Free>
using owned = std::unique_ptr<T, free_by<Free>>;
using key = owned<EVP_PKEY, EVP_PKEY_free>;
using certificate = owned<X509, X509_free>;
using number = owned<BIGNUM, BN_free>;

enum class kind { rsa, elliptic };

key make_key(kind of) {
  return key{of == kind::rsa ? EVP_RSA_gen(2048) : EVP_EC_gen("P-256")};
}

number part_of(const key& k, const char* name) {
  BIGNUM* part = nullptr;
  REQUIRE(EVP_PKEY_get_bn_param(k.get(), name, &part) == 1);
  return number{part};
}

/// What passes for the key of a certificate, as the public half is right, and signs with another.
key pretend(kind of, const key& shown, const key& own) {
  const owned<OSSL_PARAM_BLD, OSSL_PARAM_BLD_free> parts{OSSL_PARAM_BLD_new()};
  const bool is_rsa = of == kind::rsa;
  const number secret = part_of(own, is_rsa ? OSSL_PKEY_PARAM_RSA_D : OSSL_PKEY_PARAM_PRIV_KEY);
  const number modulus = is_rsa ? part_of(shown, OSSL_PKEY_PARAM_RSA_N) : nullptr;
  const number exponent = is_rsa ? part_of(shown, OSSL_PKEY_PARAM_RSA_E) : nullptr;
  std::array<unsigned char, 256> point{};
  std::size_t size = 0;
  if (is_rsa) {
    OSSL_PARAM_BLD_push_BN(parts.get(), OSSL_PKEY_PARAM_RSA_N, modulus.get());
    OSSL_PARAM_BLD_push_BN(parts.get(), OSSL_PKEY_PARAM_RSA_E, exponent.get());
    OSSL_PARAM_BLD_push_BN(parts.get(), OSSL_PKEY_PARAM_RSA_D, secret.get());
  } else {
    REQUIRE(EVP_PKEY_get_octet_string_param(shown.get(), OSSL_PKEY_PARAM_PUB_KEY, point.data(), point.size(), &size)
            == 1);
    OSSL_PARAM_BLD_push_utf8_string(parts.get(), OSSL_PKEY_PARAM_GROUP_NAME, "P-256", 0);
    OSSL_PARAM_BLD_push_octet_string(parts.get(), OSSL_PKEY_PARAM_PUB_KEY, point.data(), size);
    OSSL_PARAM_BLD_push_BN(parts.get(), OSSL_PKEY_PARAM_PRIV_KEY, secret.get());
  }
  const owned<OSSL_PARAM, OSSL_PARAM_free> built{OSSL_PARAM_BLD_to_param(parts.get())};
  const owned<EVP_PKEY_CTX, EVP_PKEY_CTX_free> making{
    EVP_PKEY_CTX_new_from_name(nullptr, is_rsa ? "RSA" : "EC", nullptr)};
  EVP_PKEY* made = nullptr;
  REQUIRE(EVP_PKEY_fromdata_init(making.get()) == 1);
  REQUIRE(EVP_PKEY_fromdata(making.get(), &made, EVP_PKEY_KEYPAIR, built.get()) == 1);
  return key{made};
}

/// Issued by itself, for localhost, from an hour ago on.
certificate make_certificate(const key& k, long seconds_good_for = 3600) {
  certificate c{X509_new()};
  X509_set_version(c.get(), 2);
  ASN1_INTEGER_set(X509_get_serialNumber(c.get()), 1);
  X509_gmtime_adj(X509_getm_notBefore(c.get()), -3600);
  X509_gmtime_adj(X509_getm_notAfter(c.get()), seconds_good_for);
  X509_NAME* const name = X509_get_subject_name(c.get());
  X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, reinterpret_cast<const unsigned char*>("localhost"), -1, -1, 0);
  X509_set_issuer_name(c.get(), name);
  X509_set_pubkey(c.get(), k.get());
  REQUIRE(X509_sign(c.get(), k.get(), EVP_sha256()) > 0);
  return c;
}

class pem_file {
public:
  explicit pem_file(const certificate& content) {
    name_ = (std::filesystem::temp_directory_path() / "stargate-certificate-XXXXXX").string();
    const int made = ::mkstemp(name_.data());
    REQUIRE(made >= 0);
    const owned<std::FILE, std::fclose> file{::fdopen(made, "w")};
    REQUIRE(PEM_write_X509(file.get(), content.get()) == 1);
  }
  pem_file(const pem_file&) = delete;
  pem_file& operator=(const pem_file&) = delete;
  ~pem_file() { ::unlink(name_.c_str()); }
  [[nodiscard]] const std::string& name() const { return name_; }

private:
  std::string name_;
};

struct wires {
  std::array<int, 2> ends{-1, -1};
  wires() { REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends.data()) == 0); }
  wires(const wires&) = delete;
  wires& operator=(const wires&) = delete;
  ~wires() {
    for (const int end : ends)
      ::close(end);
  }
};

/// Who shows a certificate, and what its client says of it in the end. Empty: they speak TLS with each other.
tls_failure met(const certificate& shown, const key& signs, const tls_settings& trusting, int version,
                const std::string& host = "localhost") {
  const owned<SSL_CTX, SSL_CTX_free> context{SSL_CTX_new(TLS_server_method())};
  REQUIRE(SSL_CTX_use_certificate(context.get(), shown.get()) == 1);
  REQUIRE(SSL_CTX_use_PrivateKey(context.get(), signs.get()) == 1);
  SSL_CTX_set_max_proto_version(context.get(), version);
  const wires between;
  const owned<SSL, SSL_free> server{SSL_new(context.get())};
  SSL_set_fd(server.get(), between.ends[1]);
  SSL_set_accept_state(server.get());
  tls by{trusting};
  const tls_connection client = by.begin(between.ends[0], host);
  for (int i = 0; i < 100; ++i) {
    ERR_clear_error();
    const int returned = SSL_do_handshake(client.get());
    if (returned == 1)
      return {};
    const int wanted = SSL_get_error(client.get(), returned);
    if (wanted != SSL_ERROR_WANT_READ && wanted != SSL_ERROR_WANT_WRITE)
      return why_tls_failed(client.get());
    ERR_clear_error();
    SSL_do_handshake(server.get());
  }
  FAIL("the handshake does not end");
  return {};
}

} // namespace

TEST_CASE("whoever shows a certificate without its key is not trusted, and that is what is said", "[tls]") {
  const auto of = GENERATE(kind::rsa, kind::elliptic);
  const auto version = GENERATE(TLS1_2_VERSION, TLS1_3_VERSION);
  const key right = make_key(of);
  const certificate shown = make_certificate(right);
  const pem_file trusted{shown};
  const tls_settings trusting{trusted.name(), {}, {}, false};
  CHECK(met(shown, right, trusting, version).text.empty());
  // What OpenSSL finds in such a signature differs from one to the next.
  for (int i = 0; i < 20; ++i) {
    const auto said = met(shown, pretend(of, right, make_key(of)), trusting, version);
    CAPTURE(said.text);
    CHECK(said.is_about_trust);
    CHECK_THAT(said.text, Contains("does not have the key of the certificate that it shows"));
    CHECK_THAT(said.text, !Contains("ok"));
  }
}

TEST_CASE("a certificate that is refused is told with the reason", "[tls]") {
  const key right = make_key(kind::elliptic);
  const certificate shown = make_certificate(right), old = make_certificate(right, -60);
  const pem_file trusted{shown}, trusted_once{old}, other{make_certificate(make_key(kind::elliptic))};
  const auto refused = [](const tls_failure& said, const char* why) {
    CAPTURE(said.text);
    CHECK(said.is_about_trust);
    CHECK_THAT(said.text, Contains("its certificate is refused: ") && Contains(why));
  };
  refused(met(shown, right, {other.name(), {}, {}, false}, TLS1_3_VERSION), "self-signed certificate");
  refused(met(old, right, {trusted_once.name(), {}, {}, false}, TLS1_3_VERSION), "certificate has expired");
  refused(met(shown, right, {trusted.name(), {}, {}, false}, TLS1_3_VERSION, "elsewhere"), "hostname mismatch");
  CHECK(met(shown, right, {{}, {}, {}, true}, TLS1_3_VERSION).text.empty());
}

TEST_CASE("errors of other parts of OpenSSL are not taken for those of TLS that have the same number", "[tls]") {
  const key right = make_key(kind::elliptic);
  const certificate shown = make_certificate(right);
  const pem_file trusted{shown};
  const wires between;
  tls by{{trusted.name(), {}, {}, false}};
  const tls_connection client = by.begin(between.ends[0], "localhost");
  for (const int reason : {SSL_R_CERTIFICATE_VERIFY_FAILED, SSL_R_WRONG_VERSION_NUMBER, SSL_R_HTTP_REQUEST,
                           SSL_R_BAD_SIGNATURE, SSL_AD_REASON_OFFSET + SSL3_AD_HANDSHAKE_FAILURE})
    for (const int library : {ERR_LIB_RSA, ERR_LIB_EVP, ERR_LIB_X509, ERR_LIB_PROV}) {
      ERR_raise(library, reason);
      const auto said = why_tls_failed(client.get());
      CAPTURE(said.text, library, reason);
      CHECK_FALSE(said.is_about_trust);
      CHECK_THAT(said.text, Contains("TLS"));
      CHECK_THAT(said.text, !Contains("certificate is refused") && !Contains("without TLS"));
      CHECK(ERR_peek_error() == 0);
    }
}
