#include "libstargate/protocol/message_id.hpp"

#include <catch2/catch.hpp>

using namespace stargate;
using protocol::parse_message_id;

TEST_CASE("a message's id tells where it is") {
  const auto plain = parse_message_id({"CLgBEAAwAA=="}); // as a broker gave it: ledger 184, entry 0, field 6
  REQUIRE(plain);
  CHECK(plain->ledger == 184);
  CHECK(plain->entry == 0);
  CHECK(plain->partition == -1);
  const auto full = parse_message_id({"CAoQBRgDIAI="});
  REQUIRE(full);
  CHECK(full->ledger == 10);
  CHECK(full->entry == 5);
  CHECK(full->partition == 3);
  CHECK(full->batch_index == 2);
}

TEST_CASE("what is not an id is not taken for one") {
  for (const auto* text : {"", "latest", "!!!!", "CA==", "CAo=", "CAr/////////////////////", "aGVsbG8gd29ybGQ="})
    CHECK_FALSE(parse_message_id({text}));
}
