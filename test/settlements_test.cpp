#include "actors/receiver/settlements.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <numeric>
#include <random>

using namespace stargate;
using stargate::internal::settlements;

TEST_CASE("the position moves over what is settled without a gap") {
  settlements s;
  CHECK(s.settle(1, {"1"}));
  CHECK(s.reached_id().value == "1");
  CHECK(s.settle(3, {"3"}));
  CHECK(s.settle(4, {"4"}));
  CHECK(s.reached() == 1);
  CHECK(s.settle(2, {"2"}));
  CHECK(s.reached_id().value == "4");
  CHECK(s.settle(5, {"5"}));
  CHECK(s.reached() == 5);
}

TEST_CASE("who settles a message first counts") {
  settlements s;
  CHECK(s.settle(2, {"2"}));
  CHECK_FALSE(s.settle(2, {"again"}));
  CHECK(s.has(2));
  CHECK_FALSE(s.has(1));
  CHECK(s.settle(1, {"1"}));
  CHECK(s.reached_id().value == "2");
  CHECK_FALSE(s.settle(1, {"again"}));
  CHECK(s.reached_id().value == "2");
}

TEST_CASE("in any order the position is where the first gap is") {
  std::mt19937 random{3};
  for (int round = 0; round < 50; ++round) {
    std::vector<std::uint64_t> order(60);
    std::iota(order.begin(), order.end(), 1);
    std::shuffle(order.begin(), order.end(), random);
    settlements s;
    std::vector<bool> done(62, false);
    for (const auto n : order) {
      REQUIRE_FALSE(s.has(n));
      REQUIRE(s.settle(n, {std::to_string(n)}));
      REQUIRE_FALSE(s.settle(n));
      done[n] = true;
      std::uint64_t expected = 0;
      while (done[expected + 1])
        ++expected;
      REQUIRE(s.reached() == expected);
      REQUIRE(s.reached_id().value == (expected == 0 ? "" : std::to_string(expected)));
      for (std::uint64_t i = 1; i < done.size(); ++i)
        REQUIRE(s.has(i) == done[i]);
    }
  }
}
