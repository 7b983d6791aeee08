#include "test/deterministic.hpp"

#include <stargate/partitions.hpp>

#include <catch2/catch.hpp>

#include <map>
#include <string>

using namespace stargate;
using namespace stargate::compat;

TEST_CASE_METHOD(test::deterministic, "a key belongs to one partition, and finds its successor there") {
  std::map<std::size_t, int> starts;
  child_spec each{.id = "cache", .start = [&](const start_context& c) -> caf::expected<caf::actor> {
                    ++starts[std::any_cast<std::size_t>(c.argument)];
                    return c.system.spawn(
                      [](caf::event_based_actor* self) -> caf::behavior { return behave(self, {}); });
                  }};
  partitions parts{each, 4};
  REQUIRE(parts.size() == 4);
  CHECK_FALSE(parts.at(0)); // nobody runs yet
  const auto sup = spawn_supervisor(system(), parts.supervisor({.name = "caches", .intensity = 10}));
  run();
  CHECK(starts == std::map<std::size_t, int>{{0, 1}, {1, 1}, {2, 1}, {3, 1}});
  const auto found = answer_of<children>(sup, which_children{});
  REQUIRE(found);
  REQUIRE(found->list.size() == 4);
  for (std::size_t i = 0; i < 4; ++i) {
    CHECK(found->list[i].id == "cache/" + std::to_string(i));
    CHECK(found->list[i].who == parts.at(i));
  }
  const auto mine = parts.of(std::string{"a key"});
  CHECK(mine == parts.of(std::string{"a key"}));
  CHECK(parts.of(5) == parts.at(1));
  send_exit(mine, caf::exit_reason::kill);
  run();
  const auto next = parts.of(std::string{"a key"});
  CHECK(next);
  CHECK(next != mine);
  send_exit(sup, caf::exit_reason::user_shutdown);
  run();
  CHECK_FALSE(parts.of(std::string{"a key"}));
}

TEST_CASE("there is at least one partition, and each needs a start function") {
  CHECK(partitions{child_spec{}, 0}.size() == 1);
  CHECK(code_of(check(partitions{child_spec{.id = "a"}, 2}.supervisor())) == errc::invalid_child_spec);
}
