#include "actors/receiver/demand.hpp"

#include <catch2/catch.hpp>

#include <map>
#include <random>
#include <string>

using stargate::internal::demand;

namespace {

std::map<std::string, std::size_t> shares(demand<std::string>& d, std::size_t available) {
  std::map<std::string, std::size_t> result;
  for (const auto& [who, count] : d.take(available))
    result[who] += count;
  return result;
}

} // namespace

TEST_CASE("nobody gets more than was asked for") {
  demand<std::string> d;
  CHECK(shares(d, 10).empty());
  d.ask("a", 3);
  d.ask("b", 1);
  CHECK(shares(d, 10) == std::map<std::string, std::size_t>{{"a", 3}, {"b", 1}});
  CHECK(d.total() == 0);
}

TEST_CASE("messages are divided evenly") {
  demand<std::string> d;
  for (const auto* who : {"a", "b", "c", "d"})
    d.ask(who, 100);
  CHECK(shares(d, 40) == std::map<std::string, std::size_t>{{"a", 10}, {"b", 10}, {"c", 10}, {"d", 10}});
  CHECK(d.total() == 360);
}

TEST_CASE("single messages go round") {
  demand<std::string> d;
  d.ask("a", 10);
  d.ask("b", 10);
  std::map<std::string, std::size_t> got;
  for (int i = 0; i < 10; ++i)
    for (const auto& [who, count] : d.take(1))
      got[who] += count;
  CHECK(got == std::map<std::string, std::size_t>{{"a", 5}, {"b", 5}});
}

TEST_CASE("who is forgotten gets nothing") {
  demand<std::string> d;
  d.ask("a", 5);
  d.ask("b", 5);
  d.forget("a");
  CHECK_FALSE(d.knows("a"));
  CHECK(shares(d, 10) == std::map<std::string, std::size_t>{{"b", 5}});
}

TEST_CASE("whatever happens, what was given is what was taken off") {
  std::mt19937 random{11};
  demand<std::string> d;
  std::size_t asked = 0, given = 0;
  for (int i = 0; i < 2000; ++i) {
    const auto n = random() % 7;
    d.ask(std::string(1, static_cast<char>('a' + random() % 5)), n);
    asked += n;
    const auto available = random() % 9;
    std::size_t now = 0;
    for (const auto& [who, count] : d.take(available))
      now += count;
    CHECK(now <= available);
    given += now;
    CHECK(d.total() == asked - given);
  }
}
