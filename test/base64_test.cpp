#include "libstargate/protocol/base64.hpp"

#include <catch2/catch.hpp>

#include <openssl/evp.h>

#include <random>

using namespace stargate::protocol;

namespace {

std::string encoded(std::string_view bytes) {
  std::string out = "before";
  append_base64(out, bytes);
  REQUIRE(out.starts_with("before"));
  return out.substr(6);
}

} // namespace

TEST_CASE("base64 is RFC 4648's") {
  CHECK(encoded("") == "");
  CHECK(encoded("f") == "Zg==");
  CHECK(encoded("fo") == "Zm8=");
  CHECK(encoded("foo") == "Zm9v");
  CHECK(encoded("foobar") == "Zm9vYmFy");
}

TEST_CASE("any bytes of any length come back as they went") {
  std::mt19937 random{7};
  for (const std::size_t size : {0u, 1u, 2u, 3u, 255u, 65'537u, 3'145'727u, 3'145'728u, 3'145'729u, 7'000'001u}) {
    std::string bytes(size, '\0');
    for (auto& c : bytes)
      c = static_cast<char>(random());
    std::string back;
    REQUIRE(decode_base64(encoded(bytes), back));
    CHECK(back == bytes);
  }
}

TEST_CASE("what is not base64 is refused") {
  std::string out;
  for (const auto* text : {"Zg", "Zg=", "Z===", "Zg==Zg==", "Z g=", " Zg=", "Zm9v\n", "Zm9-", "====", "Zm=v"}) {
    INFO(text);
    CHECK_FALSE(decode_base64(text, out));
  }
}

TEST_CASE("vectors do what OpenSSL does, at any length") {
  std::mt19937 random{11};
  for (std::size_t size = 0; size < 500; ++size) {
    std::string bytes(size, '\0');
    for (auto& c : bytes)
      c = static_cast<char>(random());
    std::string text((size + 2) / 3 * 4 + 1, '\0');
    EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()), reinterpret_cast<const unsigned char*>(bytes.data()),
                    static_cast<int>(size));
    text.pop_back();
    REQUIRE(encoded(bytes) == text);
    std::string back;
    REQUIRE(decode_base64(text, back));
    REQUIRE(back == bytes);
  }
}

TEST_CASE("a byte that is none of base64's is refused wherever it stands") {
  const std::string alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  const auto good = alphabet + alphabet + alphabet;
  std::string out;
  REQUIRE(decode_base64(good, out));
  for (int byte = 0; byte < 256; ++byte)
    for (std::size_t at = 0; at < good.size(); ++at) {
      const auto c = static_cast<char>(byte);
      auto text = good;
      text[at] = c;
      const bool ends_it = c == '=' && at + 1 == text.size();
      if (decode_base64(text, out) != (ends_it || alphabet.find(c) != std::string::npos))
        FAIL("byte " << byte << " at " << at);
    }
  CHECK(true);
}

TEST_CASE("a part is decoded in place, and takes the place of all") {
  std::mt19937 random{13};
  for (std::size_t size = 0; size < 300; ++size)
    for (const std::size_t before : {0u, 1u, 5u, 40u}) {
      std::string bytes(size, '\0');
      for (auto& c : bytes)
        c = static_cast<char>(random());
      const auto part = encoded(bytes);
      auto text = std::string(before, '"') + part + "tail";
      REQUIRE(decode_base64_in_place(text, before, part.size()));
      REQUIRE(text == bytes);
      auto bad = std::string(before, '"') + part + "tail";
      CHECK(decode_base64_in_place(bad, before, part.size() + 1) == false);
    }
}
