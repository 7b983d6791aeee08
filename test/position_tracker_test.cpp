#include "actors/position_tracker.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <numeric>
#include <random>

using namespace stargate;
using stargate::internal::position_tracker;

TEST_CASE("the position moves over what is acknowledged without a gap") {
  position_tracker t;
  CHECK(t.acknowledge(1, {"1"})->value == "1");
  CHECK_FALSE(t.acknowledge(3, {"3"}));
  CHECK_FALSE(t.acknowledge(4, {"4"}));
  CHECK(t.acknowledge(2, {"2"})->value == "4");
  CHECK(t.acknowledge(5, {"5"})->value == "5");
}

TEST_CASE("acknowledging twice changes nothing") {
  position_tracker t;
  CHECK_FALSE(t.acknowledge(2, {"2"}));
  CHECK_FALSE(t.acknowledge(2, {"again"}));
  CHECK(t.acknowledge(1, {"1"})->value == "2");
  CHECK_FALSE(t.acknowledge(1, {"1"}));
}

TEST_CASE("a new connection numbers anew") {
  position_tracker t;
  CHECK(t.acknowledge(1, {"1"}));
  CHECK_FALSE(t.acknowledge(3, {"3"}));
  t.reset();
  CHECK(t.acknowledge(1, {"a"})->value == "a");
  CHECK(t.acknowledge(2, {"b"})->value == "b");
}

TEST_CASE("in any order the position is where the first gap is") {
  std::mt19937 random{3};
  for (int round = 0; round < 50; ++round) {
    std::vector<std::uint64_t> order(60);
    std::iota(order.begin(), order.end(), 1);
    std::shuffle(order.begin(), order.end(), random);
    position_tracker t;
    std::vector<bool> done(62, false);
    std::string position = "0";
    for (const auto n : order) {
      done[n] = true;
      if (const auto moved = t.acknowledge(n, {std::to_string(n)}))
        position = moved->value;
      std::uint64_t expected = 0;
      while (done[expected + 1])
        ++expected;
      REQUIRE(position == std::to_string(expected));
    }
  }
}
