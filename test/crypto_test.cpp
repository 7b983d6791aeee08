#include "libstargate/protocol/base64.hpp"
#include "libstargate/protocol/crypto.hpp"
#include "libstargate/protocol/frames.hpp"
#include "libstargate/protocol/json.hpp"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include <catch2/catch.hpp>

#include <memory>
#include <stdexcept>

using namespace stargate;

namespace {

struct key_pair {
  std::string public_pem;
  std::string private_pem;

  key_pair() {
    auto* key = EVP_RSA_gen(2048);
    public_pem = pem([&](BIO* out) { PEM_write_bio_PUBKEY(out, key); });
    private_pem = pem([&](BIO* out) { PEM_write_bio_PrivateKey(out, key, nullptr, nullptr, 0, nullptr, nullptr); });
    EVP_PKEY_free(key);
  }
  template <class Write>
  static std::string pem(Write write) {
    auto* bio = BIO_new(BIO_s_mem());
    write(bio);
    char* data = nullptr;
    const auto size = BIO_get_mem_data(bio, &data);
    std::string text{data, static_cast<std::size_t>(size)};
    BIO_free(bio);
    return text;
  }
};

key_source from(const std::string& pem) {
  return key_source::call([pem] { return pem; });
}

const key_pair right, wrong;

/// What a consumer receives when a producer with this encryptor sends `payload`.
received_message arrived(const protocol::encryptor& e, const std::string& payload) {
  const auto parameter = e.parameter();
  REQUIRE(parameter);
  std::string keys;
  REQUIRE(protocol::decode_base64(*parameter, keys));
  const auto sealed = e.seal(payload);
  std::string frame = R"({"messageId":"CAo=","payload":")";
  protocol::append_base64(frame, sealed.payload);
  frame += R"(","publishTime":"2026-01-01T00:00:00Z","encryptionContext":{"keys":)" + keys + R"(,"param":")";
  protocol::append_base64(frame, sealed.param);
  frame += R"(","algorithm":null,"compressionType":"NONE","uncompressedMessageSize":0,"batchSize":1}})";
  auto decoded = protocol::decode_delivery(frame);
  REQUIRE(decoded);
  return std::get<received_message>(*decoded);
}

} // namespace

TEST_CASE("a private key is asked for once for each producer's data key, as long as they are few") {
  int asked = 0;
  const protocol::decryptor owner{{{"right", key_source::call([&] {
                                      ++asked;
                                      return right.private_pem;
                                    })}}};
  const auto open = [&](const protocol::encryptor& e) {
    auto m = arrived(e, "plain");
    CHECK_FALSE(owner.open(m));
    CHECK(m.payload == "plain");
  };
  const protocol::encryptor first{{{"right", from(right.public_pem)}}};
  for (int i = 0; i < 3; ++i)
    open(first);
  CHECK(asked == 1);
  for (int i = 0; i < 100; ++i) {
    const protocol::encryptor other{{{"right", from(right.public_pem)}}};
    open(other);
  }
  open(first); // forgotten meanwhile, and opened again
  CHECK(asked == 102);
}

TEST_CASE("what is encrypted for a key is opened by its owner") {
  const protocol::encryptor e{{{"right", from(right.public_pem)}}};
  for (const auto& payload : {std::string{}, std::string{"plain"}, std::string(100'000, '\0')}) {
    auto m = arrived(e, payload);
    REQUIRE(m.encryption);
    CHECK(m.payload.size() == payload.size() + 16);
    CHECK_FALSE(protocol::decryptor{{{"right", from(right.private_pem)}}}.open(m));
    CHECK(m.payload == payload);
    CHECK_FALSE(m.encryption);
  }
}

TEST_CASE("a payload that messages share is encrypted for each, and stays as it is") {
  const protocol::encryptor e{{{"right", from(right.public_pem)}}};
  const auto shared = std::make_shared<const std::string>("plain");
  const auto first = protocol::encode_message({.shared_payload = shared}, 1, &e);
  const auto second = protocol::encode_message({.shared_payload = shared}, 1, &e);
  REQUIRE(first);
  REQUIRE(second);
  CHECK(first->str() != second->str());
  CHECK(first->str() == first->str()); // also when it is sent again
  CHECK(first->str().find(R"("encryptionParam":")") != std::string::npos);
  CHECK(*shared == "plain");
  CHECK(shared.use_count() == 1);
}

TEST_CASE("no two messages are encrypted alike") {
  const protocol::encryptor e{{{"right", from(right.public_pem)}}};
  CHECK(e.seal("same").payload != e.seal("same").payload);
  CHECK(e.seal("same").param != e.seal("same").param);
  CHECK(*e.parameter() == *e.parameter()); // but the key is the same over reconnects
}

TEST_CASE("each of several owners can open it") {
  const protocol::encryptor e{{{"a", from(right.public_pem)}, {"b", from(wrong.public_pem)}}};
  auto m = arrived(e, "x");
  CHECK_FALSE(protocol::decryptor{{{"b", from(wrong.private_pem)}}}.open(m));
  CHECK(m.payload == "x");
}

TEST_CASE("without the right key a message stays as it is, and the reason is told") {
  const protocol::encryptor e{{{"right", from(right.public_pem)}}};
  const auto sealed = arrived(e, "secret");
  const auto try_with = [&](const decryption& keys) {
    auto m = sealed;
    const auto why = protocol::decryptor{keys}.open(m);
    CHECK(code_of(why) == errc::crypto_failed);
    CHECK(m.payload == sealed.payload);
    CHECK(m.encryption);
    return describe(why);
  };
  CHECK(try_with({}).find("encrypted for right") != std::string::npos);
  CHECK(try_with({{"right", from(wrong.private_pem)}}).find("does not fit") != std::string::npos);
  CHECK(try_with({{"right", from("not a key")}}).find("PEM") != std::string::npos);
  CHECK(try_with({{"right", key_source::call([]() -> std::string { throw std::runtime_error{"vault is shut"}; })}})
          .find("vault is shut")
        != std::string::npos);
  auto changed = sealed;
  changed.payload[0] ^= 1;
  CHECK(protocol::decryptor{{{"right", from(right.private_pem)}}}.open(changed));
  auto cut = sealed;
  cut.payload.resize(10);
  CHECK(protocol::decryptor{{{"right", from(right.private_pem)}}}.open(cut));
}

TEST_CASE("a public key that cannot be used is named") {
  const protocol::encryptor e{{{"mine", from("nonsense")}}};
  const auto parameter = e.parameter();
  REQUIRE_FALSE(parameter);
  CHECK(describe(parameter.error()).find("'mine'") != std::string::npos);
}

TEST_CASE("an encryption context that cannot be read is a violation, not a crash") {
  for (const auto* context : {R"({"keys":{"a":1},"param":""})", R"({"keys":{"a":{"keyValue":"!"}},"param":""})",
                              R"({"keys":{},"param":"!"})"}) {
    std::string frame = R"({"messageId":"CAo=","payload":"","publishTime":"2026-01-01T00:00:00Z","encryptionContext":)"
                        + std::string{context} + "}";
    CHECK_FALSE(protocol::decode_delivery(frame));
  }
}
