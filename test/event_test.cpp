#include "actors/shared/event_bus.hpp"
#include "actors/tree/event_relay.hpp"
#include "test/deterministic.hpp"

#include <catch2/catch.hpp>

#include <stdexcept>

using namespace stargate;
using namespace stargate::compat;
using namespace stargate::internal;
using kind = event::kind;

namespace {

struct fixture : test::deterministic {
  event_bus bus;
  std::shared_ptr<event_inbox> listen(std::size_t most, std::function<void(const event&)> to) {
    auto inbox = std::make_shared<event_inbox>(most);
    spawn_event_relay(system(), inbox, {}, std::move(to));
    bus.add(inbox);
    all.push_back(inbox);
    return inbox;
  }
  std::shared_ptr<event_inbox> listen(std::size_t most, const caf::actor& to) {
    auto inbox = std::make_shared<event_inbox>(most);
    spawn_event_relay(system(), inbox, to, {});
    bus.add(inbox);
    all.push_back(inbox);
    return inbox;
  }
  void tell(const std::string& key, kind what = kind::connected) { bus.tell({.what = what, .key = key}); }
  std::vector<std::shared_ptr<event_inbox>> all;
  ~fixture() {
    for (const auto& inbox : all) { // what listens may be gone by now
      inbox->close();
      post(inbox->relay(), flush{});
    }
    run();
  }
};

} // namespace

TEST_CASE_METHOD(fixture, "events are told in order, to all who listen, the end last") {
  std::vector<std::string> one, two;
  const auto a = listen(10, [&](const event& e) { one.push_back(e.key); });
  tell("1");
  run();
  const auto b = listen(10, [&](const event& e) { two.push_back(e.key); });
  tell("2");
  tell("x", kind::stopped);
  tell("3"); // nothing comes after the end
  run();
  CHECK(one == std::vector<std::string>{"1", "2", "x"});
  CHECK(two == std::vector<std::string>{"2", "x"});
  CHECK(has_ended(a->relay()));
  CHECK(a->is_closed());
}

TEST_CASE_METHOD(fixture, "a slow listener loses the oldest, and is told how many") {
  std::vector<std::pair<std::string, std::uint64_t>> seen;
  const auto inbox = listen(2, [&](const event& e) { seen.emplace_back(e.key, e.lost); });
  for (const auto* key : {"1", "2", "3", "4", "5"})
    tell(key);
  run();
  CHECK(seen == std::vector<std::pair<std::string, std::uint64_t>>{{"4", 3}, {"5", 0}});
}

TEST_CASE_METHOD(fixture, "an actor is told the next when it has handled the one before") {
  std::vector<std::string> seen;
  std::vector<caf::response_promise> open;
  auto slow = system().spawn([&](caf::event_based_actor* self) -> caf::behavior {
    return behave(self, {}, [&, self](const event& e) {
      seen.push_back(e.key);
      auto promise = self->make_response_promise();
      open.push_back(promise);
      return promise;
    });
  });
  const auto inbox = listen(2, slow);
  tell("1");
  run();
  for (const auto* key : {"2", "3", "4"})
    tell(key);
  run();
  CHECK(seen == std::vector<std::string>{"1"});
  for (std::size_t i = 0; i < 2; ++i) {
    post(slow, deferred{[promise = open[i]]() mutable { promise.deliver(caf::unit); }});
    run();
  }
  CHECK(seen == std::vector<std::string>{"1", "3", "4"});
  send_exit(slow, caf::exit_reason::kill);
  run();
  CHECK(has_ended(inbox->relay()));
  CHECK(inbox->is_closed());
  open.clear();
}

TEST_CASE_METHOD(fixture, "who has ended a subscription is told nothing more") {
  int told = 0;
  const auto inbox = listen(10, [&](const event&) { ++told; });
  tell("1");
  inbox->close();
  post(inbox->relay(), flush{});
  tell("2");
  run();
  CHECK(told == 0);
  CHECK(has_ended(inbox->relay()));
}

TEST_CASE_METHOD(fixture, "a listener that throws goes on listening") {
  int told = 0;
  const auto inbox = listen(10, [&](const event&) {
    ++told;
    throw std::runtime_error{"no"};
  });
  tell("1");
  run();
  tell("2");
  run();
  CHECK(told == 2);
}

TEST_CASE("an event is one line") {
  event e{.what = kind::disconnected,
          .key = "producer/x",
          .why = make_error(errc::connection_lost, "cut"),
          .next_attempt = std::chrono::milliseconds{120},
          .lost = 3};
  CHECK(to_string(e)
        == "disconnected producer/x: connection lost: cut; next attempt in 120 ms (3 before it were lost)");
}

TEST_CASE_METHOD(fixture, "events that were taken leave no time-outs behind") {
  auto quick =
    system().spawn([](caf::event_based_actor* self) -> caf::behavior { return behave(self, {}, [](const event&) {}); });
  listen(10, quick);
  const auto before = timers();
  for (int n = 0; n < 10; ++n) {
    tell("1");
    run();
  }
  CHECK(timers() == before);
  send_exit(quick, caf::exit_reason::kill);
}
