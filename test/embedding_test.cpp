// A tree as a part of an actor program, without a broker.
#include "test/tree_fixture.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <future>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

using namespace stargate;
using namespace stargate::compat;
using namespace stargate::test;
using fixture = tree_fixture;

TEST_CASE("an empty handle answers every call with an error") {
  const tree none;
  const registry_key key{orders};
  CHECK(code_of(none.produce(key, "x").error()) == errc::stopping);
  CHECK(none.produce(key, std::vector<message>(2)).size() == 2);
  bool told = false;
  none.produce(key, {}, [&](caf::expected<message_id> a) { told = !a && code_of(a.error()) == errc::stopping; });
  CHECK(told);
  CHECK_FALSE(none.whereis(key));
  CHECK(code_of(none.await(key, 1s).error()) == errc::stopping);
  CHECK(none.keys().empty());
  CHECK_FALSE(none.registry());
  CHECK(code_of(none.is_end_of_topic(key).error()) == errc::stopping);
  CHECK(code_of(none.add(producer_options{.topic = orders})) == errc::stopping);
  CHECK(code_of(none.remove(key)) == errc::stopping);
  CHECK(code_of(none.restart(key)) == errc::stopping);
  CHECK(code_of(none.start_child("t", "a")) == errc::stopping);
  CHECK(code_of(none.terminate_child("t", "a")) == errc::stopping);
  CHECK(code_of(none.wait_ready(1s)) == errc::stopping);
  CHECK(none.inspect().entries.empty());
  CHECK_FALSE(none.supervisor());
  CHECK(none.name().empty());
  CHECK_FALSE(none.stop());
  CHECK_FALSE(none.weak().lock());
  none.subscribe([](const event&) {}).end();
}

TEST_CASE_METHOD(fixture, "a key that is nearly right is answered with what is there") {
  const auto t = start(system, nowhere());
  REQUIRE(t);
  const auto said = [&](const registry_key& key) { return describe(t->produce(key, "x").error()); };
  CHECK(said(producer_key({.topic = "order"})).find("there is 'producer/persistent/public/default/orders'")
        != std::string::npos);
  CHECK(said(producer_key({.topic = "quite another"})).find("there is") == std::string::npos);
  CHECK(describe(t->remove(consumer_key(orders, "t"))).find("'consumer%2Fs/persistent/public/default/orders'")
        != std::string::npos);
}

TEST_CASE_METHOD(fixture, "the keys that a tree registers are those that the functions make") {
  const auto t = start(system, nowhere());
  REQUIRE(t);
  CHECK(t->whereis(producer_key(orders)));
  CHECK(t->whereis(consumer_key(orders, "s")));
  CHECK(reader_key(orders) == registry_key{"reader", orders});
  CHECK(reader_key(orders, "r", "mine") == registry_key{"reader/r", orders, "mine"});
}

TEST_CASE_METHOD(fixture, "whoever subscribes is told what happens, and the end") {
  std::mutex mutex;
  std::vector<std::string> seen;
  std::promise<void> over;
  {
    auto t = start(system, nowhere());
    REQUIRE(t);
    t->subscribe([&](const event& e) {
      const std::lock_guard guard{mutex};
      seen.push_back(std::string{name_of(e.what)} + " " + e.key);
      if (e.what == event::kind::stopped)
        over.set_value();
    });
    REQUIRE_FALSE(t->add(producer_options{.topic = {.topic = "more"}}));
    const auto old = t->whereis(producer_key(orders));
    REQUIRE_FALSE(t->restart(producer_key(orders)));
    CHECK(t->whereis(producer_key(orders)) != old);
    REQUIRE_FALSE(t->remove(producer_key({.topic = "more"})));
    send_exit(t->whereis({"processor/s/0", orders}), caf::exit_reason::kill);
    REQUIRE(t->await({"processor/s/0", orders}, 10s));
    const auto until = std::chrono::steady_clock::now() + 10s;
    const auto told = [&](const std::string& what) {
      const std::lock_guard guard{mutex};
      return std::find(seen.begin(), seen.end(), what) != seen.end();
    };
    for (const auto* what :
         {"added producer/persistent/public/default/more", "removed producer/persistent/public/default/more",
          "added producer/persistent/public/default/orders", "disconnected producer/persistent/public/default/orders",
          "restarted processor%2Fs%2F0/persistent/public/default/orders"}) {
      INFO(what);
      while (!told(what))
        REQUIRE(std::chrono::steady_clock::now() < until);
    }
  }
  CHECK(over.get_future().wait_for(10s) == std::future_status::ready);
  CHECK(seen.back() == "stopped default");
  system.await_all_actors_done();
}

TEST_CASE_METHOD(fixture, "children of one's own stand in the tree, whatever is restarted, until they are removed") {
  auto o = nowhere();
  o.intensity = 10;
  auto t = start(system, std::move(o));
  REQUIRE(t);
  const auto counter = [](caf::event_based_actor* self) {
    return behave(self, {}, [self](report_vitals) { return vitals_of(self, 42); });
  };
  child_spec own{.id = "counter", .start = [&, counter](const start_context& c) -> caf::expected<caf::actor> {
                   auto who = c.system.spawn(counter);
                   post(t->registry().actor(), register_name{"counter", who});
                   return who;
                 }};
  REQUIRE_FALSE(t->add(own, true));
  CHECK(code_of(t->add(own)) == errc::child_present);
  CHECK(code_of(t->add(child_spec{.id = "x"})) == errc::invalid_child_spec);
  const auto entry = [&]() -> std::optional<tree_entry> {
    for (auto& e : t->inspect().entries)
      if (e.key == "counter")
        return e;
    return std::nullopt;
  };
  const auto runs = [&] {
    const auto until = std::chrono::steady_clock::now() + 10s;
    for (;; std::this_thread::yield())
      if (const auto e = entry(); e && e->state == child_state::running && e->how)
        return e->how->in_flight == 42;
      else if (std::chrono::steady_clock::now() > until)
        return false;
  };
  CHECK(runs());
  for (const auto* who : {"topics_default", "reg_default", "plan_default", "presence_default", "counter"}) {
    const auto before = t->registry().whereis(who);
    REQUIRE(before);
    send_exit(before, caf::exit_reason::kill);
    const auto until = std::chrono::steady_clock::now() + 20s;
    while (!t->registry().whereis(who) || t->registry().whereis(who) == before)
      REQUIRE(std::chrono::steady_clock::now() < until);
    INFO(who);
    CHECK(runs());
  }
  REQUIRE_FALSE(t->remove("counter"));
  CHECK(code_of(t->remove("counter")) == errc::child_not_found);
  CHECK_FALSE(entry());
  own.start = [](const start_context&) -> caf::expected<caf::actor> { return make_error(errc::not_found, "no"); };
  CHECK(code_of(t->add(own)) == errc::start_failed);
  CHECK_FALSE(entry());
  CHECK_FALSE(t->stop());
}

TEST_CASE_METHOD(fixture, "a tree is started from within an actor, which is not blocked") {
  std::promise<caf::expected<tree>> told;
  system.spawn([&](caf::event_based_actor* self) {
    start(self->home_system(), nowhere(), [&](caf::expected<tree> t) { told.set_value(std::move(t)); });
  });
  auto t = told.get_future().get();
  REQUIRE(t);
  CHECK(t->whereis(producer_key(orders)));
  std::promise<caf::expected<tree>> again;
  start(system, nowhere(), [&](caf::expected<tree> other) { again.set_value(std::move(other)); });
  CHECK(code_of(again.get_future().get().error()) == errc::already_registered);
  CHECK_FALSE(t->stop());
}

TEST_CASE_METHOD(fixture, "a tree is a child of anybody's supervisor, which restarts it, and is found by its name") {
  CHECK_FALSE(find_tree(system));
  std::optional<caf::scoped_actor> of{std::in_place, system}; // while it is there, not all actors are done
  auto& self = *of;
  const auto sup =
    spawn_supervisor(system, {.intensity = 5, .children = {tree_spec(nowhere())}}, caf::actor_cast<caf::actor>(self));
  self->receive([](const child_started&) {}, caf::after(10s) >> [] { FAIL("it does not stand"); });
  auto t = find_tree(system);
  REQUIRE(t);
  CHECK(t.whereis(producer_key(orders)));
  const auto top = t.supervisor();
  for (const auto& how : {caf::error{caf::exit_reason::kill}, caf::error{caf::exit_reason::user_shutdown}}) {
    const auto before = find_tree(system).supervisor();
    send_exit(before, how);
    const auto until = std::chrono::steady_clock::now() + 20s;
    for (;;) {
      const auto next = find_tree(system);
      if (next && next.supervisor() != before && next.whereis(producer_key(orders)))
        break;
      REQUIRE(std::chrono::steady_clock::now() < until);
      std::this_thread::yield();
    }
  }
  CHECK(code_of(t.produce(producer_key(orders), "x").error()) == errc::stopping); // an old handle says so
  t = {};
  of.reset();
  send_exit(sup, caf::exit_reason::user_shutdown);
  system.await_all_actors_done();
  CHECK_FALSE(find_tree(system));
}

TEST_CASE("a tree below a supervisor needs one thread of the scheduler") {
  caf::actor_system_config config;
  set_scheduler_threads(config, 1);
  caf::actor_system system{config};
  std::optional<caf::scoped_actor> of{std::in_place, system}; // while it is there, not all actors are done
  auto& self = *of;
  const auto sup = spawn_supervisor(system, {.children = {tree_spec(nowhere())}}, caf::actor_cast<caf::actor>(self));
  self->receive([](const child_started&) {}, caf::after(20s) >> [] { FAIL("it does not stand"); });
  send_exit(find_tree(system).supervisor(), caf::exit_reason::kill);
  const auto until = std::chrono::steady_clock::now() + 20s;
  while (!find_tree(system))
    REQUIRE(std::chrono::steady_clock::now() < until);
  of.reset();
  send_exit(sup, caf::exit_reason::user_shutdown);
  system.await_all_actors_done();
}

TEST_CASE_METHOD(fixture, "options that are wrong are a start that failed") {
  auto o = nowhere();
  o.hosts.clear();
  caf::scoped_actor self{system};
  const auto sup = spawn_supervisor(system, {.children = {tree_spec(o)}});
  self->monitor(sup);
  self->receive([](const caf::down_msg& m) { CHECK(describe(m.reason).find("hosts") != std::string::npos); },
                caf::after(10s) >> [] { FAIL("it waits"); });
}
