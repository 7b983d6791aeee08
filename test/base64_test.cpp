#include "libstargate/protocol/base64.hpp"

#include <catch2/catch.hpp>

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
