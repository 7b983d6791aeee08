// What a tree promises without a broker: everything that does not need one.
#include "actors/messages.hpp"

#include <stargate/stargate.hpp>

#include <catch2/catch.hpp>

#include <atomic>
#include <future>
#include <vector>

using namespace stargate;
using namespace std::chrono_literals;

namespace {

const topic_name orders{.topic = "orders"};

options nowhere() {
  options o;
  o.hosts = {{"127.0.0.1", 1}}; // nothing listens there
  o.backoff = {.first = 10ms, .most = 50ms};
  o.producers = {{.topic = orders, .send_timeout = 200ms, .max_pending = 2}};
  o.consumers = {
    {.topic = orders, .subscription = "s", .handler = [](const received_message&) { return disposition::ack; }}};
  return o;
}

struct fixture {
  caf::actor_system_config config;
  caf::actor_system system{config};
};

} // namespace

TEST_CASE_METHOD(fixture, "a tree stands without a broker, and says what is not connected and why") {
  const auto t = start(system, nowhere());
  REQUIRE(t);
  CHECK(t->whereis(make_registry_key("public", "default", "orders")));
  const auto why = t->wait_ready(100ms);
  CHECK(code_of(why) == errc::timed_out);
  CHECK(describe(why).find("producer/persistent/public/default/orders") != std::string::npos);
  CHECK(describe(why).find("127.0.0.1:1") != std::string::npos);
  CHECK_FALSE(t->stop());
}

TEST_CASE_METHOD(fixture, "a blocking produce ends with its time-out when the host is unreachable") {
  const auto t = start(system, nowhere());
  REQUIRE(t);
  const auto id = t->produce(registry_key{orders}, "x");
  REQUIRE_FALSE(id);
  CHECK(code_of(id.error()) == errc::not_sent);
  CHECK(describe(id.error()).find("persistent://public/default/orders") != std::string::npos);
}

TEST_CASE_METHOD(fixture, "an asynchronous produce beyond max_pending is refused at once") {
  const auto t = start(system, nowhere());
  REQUIRE(t);
  std::promise<errc> refused;
  for (int i = 0; i < 2; ++i)
    t->produce(registry_key{orders}, message{.payload = "x"}, [](caf::expected<message_id>) {});
  t->produce(registry_key{orders}, message{.payload = "x"},
             [&](caf::expected<message_id> a) { refused.set_value(a ? errc::none : code_of(a.error())); });
  CHECK(refused.get_future().get() == errc::queue_full);
}

TEST_CASE_METHOD(fixture, "producing to a key that nobody has is an error at once") {
  const auto t = start(system, nowhere());
  REQUIRE(t);
  const auto id = t->produce(make_registry_key("public", "default", "other"), "x");
  REQUIRE_FALSE(id);
  CHECK(code_of(id.error()) == errc::not_registered);
}

TEST_CASE_METHOD(fixture, "a wrong description starts nothing") {
  auto o = nowhere();
  o.producers.push_back(o.producers.front());
  const auto t = start(system, std::move(o));
  REQUIRE_FALSE(t);
  CHECK(code_of(t.error()) == errc::invalid_option);
  CHECK(describe(t.error()).find("producers[1].topic is 'persistent://public/default/orders' again")
        != std::string::npos);
}

TEST_CASE_METHOD(fixture, "actors are found by any part of their key") {
  auto o = nowhere();
  o.consumers.push_back(o.consumers.front());
  o.consumers.back().subscription = "second";
  const auto t = start(system, std::move(o));
  REQUIRE(t);
  CHECK(t->keys({.component = "consumer/second"}).size() == 1);
  CHECK(t->keys({.topic = "orders"}).size() == 13);
  CHECK(t->keys({.persistence = persistence::non_persistent}).empty());
  CHECK(t->keys({.tenant = "nobody"}).empty());
  CHECK(t->await({"processor/s/0", orders}, 1s));
  CHECK(code_of(t->await({"processor/s/9", orders}, 10ms).error()) == errc::timed_out);
}

TEST_CASE_METHOD(fixture, "several trees live in one actor system") {
  auto first = nowhere();
  auto second = nowhere();
  second.name = "second";
  const auto a = start(system, std::move(first));
  const auto b = start(system, std::move(second));
  REQUIRE(a);
  REQUIRE(b);
  CHECK(a->whereis({orders}) != b->whereis({orders}));
  CHECK_FALSE(a->stop());
  CHECK(b->whereis({orders}));
}

TEST_CASE_METHOD(fixture, "every kind of actor that is killed comes back under its key") {
  auto o = nowhere();
  o.intensity = 100;
  const auto t = start(system, std::move(o));
  REQUIRE(t);
  for (const auto* component : {"producer", "producer_ack", "producer_sup", "consumer/s", "consumer_ack/s",
                                "dispatcher/s", "processor/s/0", "consumer_sup/s"}) {
    INFO(component);
    const registry_key key{component, orders};
    const auto before = t->await(key, 5s);
    REQUIRE(before);
    send_exit(*before, caf::exit_reason::kill);
    const auto deadline = std::chrono::steady_clock::now() + 5s;
    for (;;) {
      const auto after = t->await(key, 5s);
      REQUIRE(after);
      if (*after != *before)
        break;
      REQUIRE(std::chrono::steady_clock::now() < deadline);
    }
  }
  for (const auto* name : {"topics_default", "reg_default"}) {
    INFO(name);
    const auto before = t->registry().whereis(name);
    REQUIRE(before);
    send_exit(before, caf::exit_reason::kill);
    const auto deadline = std::chrono::steady_clock::now() + 5s;
    while (t->registry().whereis(name) == before || !t->registry().whereis(name))
      REQUIRE(std::chrono::steady_clock::now() < deadline);
    CHECK(t->await({"processor/s/0", orders}, 5s));
    CHECK(t->await({"producer", orders}, 5s));
  }
}

TEST_CASE_METHOD(fixture, "a message to a producer's own actor reaches the acknowledger") {
  const auto t = start(system, nowhere());
  REQUIRE(t);
  std::promise<errc> answer;
  internal::publish p;
  p.items.push_back(std::make_shared<internal::publication>(message{.payload = "x"}, [&](caf::expected<message_id> a) {
    answer.set_value(a ? errc::none : code_of(a.error()));
  }));
  post(t->whereis({orders}), std::move(p));
  CHECK(answer.get_future().get() == errc::not_sent);
}

TEST_CASE_METHOD(fixture, "an answer to an actor carries the message's context") {
  const auto t = start(system, nowhere());
  REQUIRE(t);
  caf::scoped_actor self{system};
  t->produce(registry_key{orders}, {.payload = "x", .context = "mine"}, caf::actor_cast<caf::actor>(self));
  self->receive([](const produced& p) {
    CHECK(p.context == "mine");
    CHECK(code_of(p.failure) == errc::not_sent);
  });
}

TEST_CASE_METHOD(fixture, "the last copy of a tree to go stops it") {
  caf::actor supervisor;
  {
    auto t = start(system, nowhere());
    REQUIRE(t);
    const auto copy = *t;
    supervisor = copy.supervisor();
  }
  CHECK(has_ended(supervisor));
}

TEST_CASE("an actor system that goes takes its trees along, whatever handles to them are left") {
  std::vector<tree> left;
  std::atomic<int> answered = 0;
  caf::actor_system_config config;
  for (int i = 0; i < 20; ++i) {
    caf::actor_system system{config};
    const tree_scope scope{system};
    for (const auto* name : {"first", "second"}) {
      auto o = nowhere();
      o.name = name;
      o.producers.front().send_timeout = 20ms;
      auto t = start(system, std::move(o));
      REQUIRE(t);
      left.push_back(std::move(*t));
      left.back().produce(registry_key{"producer", orders, name}, message{.payload = "x"},
                          [&](const caf::expected<message_id>&) { ++answered; });
    }
    if (i % 2 == 0) // it may also be ending by itself, meanwhile
      send_exit(left.back().supervisor(), caf::exit_reason::user_shutdown);
  }
  CHECK(answered == 40);
  for (const auto& t : left)
    CHECK_FALSE(t.stop());
}

TEST_CASE_METHOD(fixture, "all trees of an actor system can be stopped at once, and those of others run on") {
  caf::actor_system other{config};
  const auto elsewhere = start(other, nowhere());
  const auto here = start(system, nowhere());
  REQUIRE(elsewhere);
  REQUIRE(here);
  CHECK_FALSE(stop_all(system));
  CHECK_FALSE(here->whereis(registry_key{orders}));
  CHECK(elsewhere->whereis(registry_key{orders}));
}
