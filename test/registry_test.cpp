#include "registry/name_table.hpp"
#include "test/deterministic.hpp"

#include <stargate/registry.hpp>

#include <catch2/catch.hpp>

#include <thread>

using namespace stargate;
using namespace std::chrono_literals;

namespace {

caf::behavior idle(caf::event_based_actor*) {
  return {[](const std::string&) {}};
}

struct fixture : test::deterministic {
  stargate::registry r = registry::spawn(system(), "reg_test");

  caf::actor worker() { return system().spawn(idle); }
  caf::expected<registered> enter(const std::string& name, const caf::actor& who,
                                  std::chrono::milliseconds wait = 0ms) {
    return answer_of<registered>(r.actor(), register_name{name, who, wait});
  }
  void kill(const caf::actor& who) {
    send_exit(who, caf::exit_reason::kill);
    run();
  }
  ~fixture() { send_exit(r.actor(), caf::exit_reason::user_shutdown); }
};

template <class T>
errc code(const caf::expected<T>& e) {
  return e ? errc::none : code_of(e.error());
}

} // namespace

TEST_CASE_METHOD(fixture, "a registered actor is found, by message and from any thread") {
  const auto w = worker();
  REQUIRE(enter("a", w));
  CHECK(answer_of<found>(r.actor(), whereis_name{"a"})->who == w);
  caf::actor seen;
  std::thread{[&] { seen = r.whereis("a"); }}.join();
  CHECK(seen == w);
  CHECK(code(answer_of<found>(r.actor(), whereis_name{"b"})) == errc::not_registered);
  CHECK_FALSE(r.whereis("b"));
  kill(w);
}

TEST_CASE_METHOD(fixture, "a second registration of a living key is refused with the holder's name") {
  const auto first = worker();
  const auto second = worker();
  REQUIRE(enter("a", first));
  const auto refused = enter("a", second);
  REQUIRE(code(refused) == errc::already_registered);
  CHECK(describe(refused.error()).find(display_name(first)) != std::string::npos);
  CHECK(r.whereis("a") == first);
  CHECK(enter("a", first)); // by the holder itself it is no conflict
  kill(first);
  kill(second);
}

TEST_CASE_METHOD(fixture, "an actor that dies is gone at once") {
  const auto w = worker();
  REQUIRE(enter("a", w));
  REQUIRE(enter("b", w));
  self()->monitor(w);
  send_exit(w, caf::exit_reason::kill);
  REQUIRE(take<caf::down_msg>());
  CHECK_FALSE(r.whereis("a"));
  CHECK(r.select().entries.empty());
  CHECK(enter("a", worker()));
  kill(r.whereis("a"));
}

TEST_CASE("a name whose holder has ended is free even before the registry hears of it") {
  test::deterministic d;
  internal::name_table table{"t"};
  const auto old = d.system().spawn(idle);
  const auto young = d.system().spawn(idle);
  CHECK_FALSE(table.insert("a", old));
  CHECK(table.insert("a", young) == old);
  send_exit(old, caf::exit_reason::kill);
  d.run();
  CHECK_FALSE(table.whereis("a"));
  CHECK_FALSE(table.insert("a", young));
  // The late down message of the predecessor erases nothing of the successor.
  CHECK(table.erase_all(old.address()).empty());
  CHECK(table.whereis("a") == young);
  table.clear();
  send_exit(young, caf::exit_reason::kill);
}

TEST_CASE_METHOD(fixture, "unregistering frees the name") {
  const auto w = worker();
  REQUIRE(enter("a", w));
  CHECK(answer_of<registered>(r.actor(), unregister_name{"a"}));
  CHECK(code(answer_of<registered>(r.actor(), unregister_name{"a"})) == errc::not_registered);
  CHECK_FALSE(r.whereis("a"));
  CHECK(answer_of<names>(r.actor(), keys_of{w})->entries.empty());
  kill(w);
}

TEST_CASE_METHOD(fixture, "who waits for a key is answered when it appears") {
  auto pending = request(self().ptr(), r.actor(), 1h, await_name{"late", 5s});
  advance(4s);
  const auto w = worker();
  REQUIRE(enter("late", w));
  caf::actor seen;
  pending.receive([&](found& f) { seen = f.who; }, [](caf::error& e) { FAIL(describe(e)); });
  CHECK(seen == w);
  CHECK(answer_of<found>(r.actor(), await_name{"late", 0ms})->who == w);
  kill(w);
}

TEST_CASE_METHOD(fixture, "who waits for a key that does not appear is told when the time is over") {
  auto pending = request(self().ptr(), r.actor(), 1h, await_name{"never", 5s});
  advance(5s);
  errc seen = errc::none;
  pending.receive([](found&) { FAIL("found"); }, [&](caf::error& e) { seen = code_of(e); });
  CHECK(seen == errc::timed_out);
}

TEST_CASE_METHOD(fixture, "a registration may wait for the holder to go") {
  const auto old = worker();
  const auto young = worker();
  REQUIRE(enter("a", old));
  auto pending = request(self().ptr(), r.actor(), 1h, register_name{"a", young, 5s});
  advance(1s);
  CHECK(r.whereis("a") == old);
  kill(old);
  bool entered = false;
  pending.receive([&](registered&) { entered = true; }, [](caf::error& e) { FAIL(describe(e)); });
  CHECK(entered);
  CHECK(r.whereis("a") == young);
  kill(young);
}

TEST_CASE_METHOD(fixture, "a registration that waited in vain is refused") {
  const auto old = worker();
  const auto young = worker();
  REQUIRE(enter("a", old));
  auto pending = request(self().ptr(), r.actor(), 1h, register_name{"a", young, 5s});
  advance(5s);
  errc seen = errc::none;
  pending.receive([](registered&) { FAIL("entered"); }, [&](caf::error& e) { seen = code_of(e); });
  CHECK(seen == errc::already_registered);
  kill(old);
  kill(young);
}

TEST_CASE_METHOD(fixture, "an actor that has ended cannot be registered") {
  const auto w = worker();
  kill(w);
  CHECK(code(enter("a", w)) == errc::start_failed);
}

TEST_CASE_METHOD(fixture, "names are listed by any of their parts") {
  const auto w = worker();
  for (const auto* name : {"producer/x/t1/n/a", "producer/x/t2/n/a", "consumer/x/t1/n/a", "top"})
    REQUIRE(enter(name, w));
  const auto names_for = [&](name_pattern pattern) {
    std::vector<std::string> result;
    const auto found = answer_of<names>(r.actor(), select_names{std::move(pattern)});
    for (const auto& [name, who] : found->entries)
      result.push_back(name);
    return result;
  };
  using list = std::vector<std::string>;
  const auto any = std::nullopt;
  CHECK(names_for({}) == list{"consumer/x/t1/n/a", "producer/x/t1/n/a", "producer/x/t2/n/a", "top"});
  CHECK(names_for({"producer", any, any, any, any}) == list{"producer/x/t1/n/a", "producer/x/t2/n/a"});
  CHECK(names_for({any, any, "t1", any, "a"}) == list{"consumer/x/t1/n/a", "producer/x/t1/n/a"});
  CHECK(names_for({any}) == list{"top"});
  CHECK(names_for({any, any, any, any, "b"}).empty());
  CHECK(answer_of<names>(r.actor(), keys_of{w})->entries.size() == 4);
  kill(w);
}
