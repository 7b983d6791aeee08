// What a tree promises without a broker: everything that does not need one.
#include "actors/producer/messages.hpp"
#include "actors/receiver/messages.hpp"
#include "test/fake_world.hpp"
#include "test/tree_fixture.hpp"

#include <stargate/stargate.hpp>

#include <catch2/catch.hpp>

#include <algorithm>
#include <atomic>
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

TEST_CASE_METHOD(fixture, "an actor produces by requests to what a producer's key gives") {
  const auto t = start(system, nowhere());
  REQUIRE(t);
  caf::scoped_actor self{system};
  const auto producer = t->registry().whereis(to_string(registry_key{orders}));
  errc code{};
  // Only who encodes it sees that it cannot be sent.
  request(self.ptr(), producer, 10s, publish{{.payload = "x", .key = "\xff"}})
    .receive([](message_id&) { FAIL("stored"); }, [&](caf::error& e) { code = code_of(e); });
  CHECK(code == errc::invalid_message);
  request(self.ptr(), producer, 10s, publish_all{{{.payload = "x", .key = "\xff"}, {.payload = "y"}}})
    .receive(
      [&](published& p) {
        REQUIRE(p.answers.size() == 2);
        CHECK(code_of(p.answers[0].error()) == errc::invalid_message);
        CHECK(code_of(p.answers[1].error()) == errc::not_sent); // after send_timeout: there is no broker
      },
      [](caf::error& e) { FAIL(describe(e)); });
  request(self.ptr(), t->whereis({"consumer/s", orders}), 10s, publish{{.payload = "x"}})
    .receive([](message_id&) { FAIL("stored"); }, [](caf::error& e) { CHECK(code_of(e) == errc::not_registered); });
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

TEST_CASE_METHOD(fixture, "a receipt that nobody wants leaves room for the next message") {
  auto o = nowhere();
  o.producers.front().send_timeout = 20ms;
  const auto t = start(system, std::move(o));
  REQUIRE(t);
  for (int i = 0; i < 2; ++i)
    t->produce(registry_key{orders}, message{.payload = "x"}, receipt_handler{});
  // Once their time is up there is room again: until then it is full.
  const auto deadline = std::chrono::steady_clock::now() + 5s;
  for (errc code = errc::queue_full; code == errc::queue_full;) {
    REQUIRE(std::chrono::steady_clock::now() < deadline);
    std::promise<errc> answer;
    t->produce(registry_key{orders}, message{.payload = "x"},
               [&](caf::expected<message_id> a) { answer.set_value(a ? errc::none : code_of(a.error())); });
    code = answer.get_future().get();
  }
}

TEST_CASE_METHOD(fixture,
                 "an asynchronous produce never answers on the caller's own stack, and logs what the answer throws") {
  auto o = nowhere();
  std::mutex mutex;
  std::string logged;
  std::promise<void> thrown;
  o.log = [&](log_level level, std::string_view, std::string_view text) {
    const std::lock_guard guard{mutex};
    if (level == log_level::error && text.find("not today") != std::string_view::npos)
      thrown.set_value();
  };
  const auto t = start(system, std::move(o));
  REQUIRE(t);
  std::mutex held; // whoever answers needs it
  std::promise<errc> unknown, full;
  {
    const std::lock_guard guard{held};
    t->produce(make_registry_key("public", "default", "other"), message{.payload = "x"},
               [&](caf::expected<message_id> a) {
                 const std::lock_guard inner{held};
                 unknown.set_value(code_of(a.error()));
               });
    for (int i = 0; i < 2; ++i)
      t->produce(registry_key{orders}, message{.payload = "x"}, [](const caf::expected<message_id>&) {});
    t->produce(registry_key{orders}, message{.payload = "x"}, [&](caf::expected<message_id> a) {
      const std::lock_guard inner{held};
      full.set_value(code_of(a.error()));
      throw std::runtime_error{"not today"};
    });
  }
  CHECK(unknown.get_future().get() == errc::not_registered);
  CHECK(full.get_future().get() == errc::queue_full);
  CHECK(thrown.get_future().wait_for(5s) == std::future_status::ready);
}

TEST_CASE_METHOD(fixture, "only the key of a producer, and of this tree, is produced to") {
  const auto t = start(system, nowhere());
  REQUIRE(t);
  for (const auto* component : {"consumer/s", "banana"}) {
    const auto id = t->produce(registry_key{component, orders}, "x");
    REQUIRE_FALSE(id);
    CHECK(code_of(id.error()) == errc::not_registered);
    CHECK(describe(id.error()).find("component is 'producer'") != std::string::npos);
  }
  const auto id = t->produce(registry_key{"producer", orders, "elsewhere"}, "x");
  REQUIRE_FALSE(id);
  CHECK(describe(id.error()).find("'elsewhere'") != std::string::npos);
  CHECK(describe(id.error()).find("'default'") != std::string::npos);
}

TEST_CASE_METHOD(fixture, "no two trees of one name run in one actor system") {
  auto first = start(system, nowhere());
  REQUIRE(first);
  const auto second = start(system, nowhere());
  REQUIRE_FALSE(second);
  CHECK(code_of(second.error()) == errc::already_registered);
  CHECK_FALSE(first->stop());
  CHECK(start(system, nowhere()));
}

TEST_CASE_METHOD(fixture, "every call on a tree that has ended answers at once, with why") {
  const auto t = start(system, nowhere());
  REQUIRE(t);
  CHECK_FALSE(t->stop());
  const auto begun = std::chrono::steady_clock::now();
  const registry_key consumer{"consumer/s", orders};
  for (const auto& failure :
       {t->produce(registry_key{orders}, "x").error(), t->add(producer_options{.topic = {.topic = "new"}}),
        t->remove(consumer), t->start_child("none", "x"), t->terminate_child("none", "x"), t->wait_ready(1h),
        t->await(consumer, 1h).error(), t->is_end_of_topic(consumer).error(), t->unsubscribe(consumer)}) {
    CHECK(code_of(failure) == errc::stopping);
    CHECK(describe(failure).find("has ended") != std::string::npos);
  }
  std::promise<errc> answer;
  t->produce(registry_key{orders}, message{.payload = "x"},
             [&](caf::expected<message_id> a) { answer.set_value(code_of(a.error())); });
  CHECK(answer.get_future().get() == errc::stopping);
  CHECK(std::chrono::steady_clock::now() - begun < 5s);
}

TEST_CASE_METHOD(fixture, "a topic that gave up says why, at once") {
  const auto world = std::make_shared<test::fake_world>(system);
  world->on_connect = [](test::fake_world::connection& c) { c.who->on_end({connection::end::refused, 404, {}}); };
  auto o = nowhere();
  o.backoff = {.first = 1ms, .most = 1ms};
  o.producers.front().send_timeout = 60s;
  const auto t = internal::start_in(system, std::move(o), world);
  REQUIRE(t);
  // A message that waits when the topic gives up, and one after that.
  const auto begun = std::chrono::steady_clock::now();
  for (int i = 0; i < 2; ++i) {
    auto answer = t->produce(registry_key{orders}, "x");
    while (!answer && code_of(answer.error()) == errc::not_sent) // its acknowledger went with the topic
      answer = t->produce(registry_key{orders}, "x");
    REQUIRE_FALSE(answer);
    CHECK(code_of(answer.error()) == errc::not_found);
    CHECK(describe(answer.error()).find("404") != std::string::npos);
  }
  CHECK(std::chrono::steady_clock::now() - begun < 30s);
}

TEST_CASE_METHOD(fixture, "a call that waits is refused on a thread of the scheduler, with what to do instead") {
  const auto t = start(system, nowhere());
  REQUIRE(t);
  std::promise<std::vector<caf::error>> answer;
  system.spawn([&](caf::event_based_actor*) {
    answer.set_value({t->produce(registry_key{orders}, "x").error(), t->wait_ready(1h), t->stop(),
                      t->add(producer_options{.topic = {.topic = "new"}}), t->remove(registry_key{orders}),
                      t->await(registry_key{orders}, 1h).error()});
  });
  for (const auto& failure : answer.get_future().get()) {
    CHECK(code_of(failure) == errc::would_block);
    CHECK(describe(failure).find("scheduler") != std::string::npos);
  }
}

TEST_CASE_METHOD(fixture, "the last handle may go inside an actor, and blocks nobody") {
  auto t = std::make_shared<tree>(*start(system, nowhere()));
  const auto supervisor = t->supervisor();
  std::promise<std::chrono::steady_clock::duration> took;
  system.spawn([&, mine = std::exchange(t, nullptr)](caf::event_based_actor*) mutable {
    const auto begun = std::chrono::steady_clock::now();
    mine = nullptr;
    took.set_value(std::chrono::steady_clock::now() - begun);
  });
  CHECK(took.get_future().get() < 2s);
  const auto deadline = std::chrono::steady_clock::now() + 10s;
  while (!has_ended(supervisor))
    REQUIRE(std::chrono::steady_clock::now() < deadline);
}

TEST_CASE_METHOD(fixture, "a handler holds a weak handle, and the tree goes with the last strong one") {
  auto where = std::make_shared<weak_tree>();
  auto o = nowhere();
  o.consumers.front().handler = [where](const received_message&) {
    return where->lock() ? disposition::ack : disposition::nack;
  };
  caf::actor supervisor;
  {
    const auto t = start(system, std::move(o));
    REQUIRE(t);
    *where = t->weak();
    CHECK(where->lock());
    supervisor = t->supervisor();
  }
  CHECK(has_ended(supervisor));
  CHECK_FALSE(where->lock());
}

TEST_CASE_METHOD(fixture, "nothing but its handles holds a tree that has started") {
  for (int n = 0; n < 100; ++n) {
    caf::actor supervisor;
    {
      const auto t = start(system, nowhere());
      REQUIRE(t);
      supervisor = t->supervisor();
    }
    REQUIRE(has_ended(supervisor)); // by the time the last of them has gone
  }
}

TEST_CASE_METHOD(fixture, "what handlers hold is let go when the tree has stopped") {
  const auto held = std::make_shared<int>(1);
  auto o = nowhere();
  o.consumers.front().handler = [held](const received_message&) { return disposition::ack; };
  const auto t = start(system, std::move(o));
  REQUIRE(t);
  CHECK_FALSE(t->stop());
  const auto deadline = std::chrono::steady_clock::now() + 10s;
  while (held.use_count() > 1) // the actors' objects go in their own time
    REQUIRE(std::chrono::steady_clock::now() < deadline);
}

TEST_CASE_METHOD(fixture, "what the handler of a removed consumer holds is let go, and the tree runs on") {
  const auto held = std::make_shared<int>(1);
  auto o = nowhere();
  o.consumers.front().handler = [held](const received_message&) { return disposition::ack; };
  const auto t = start(system, std::move(o));
  REQUIRE(t);
  const auto key = GENERATE(true, false) ? consumer_key(orders, "s") : consumer_key({.topic = "more"}, "s");
  if (key.topic != orders) { // one that came later
    REQUIRE_FALSE(t->remove(consumer_key(orders, "s")));
    REQUIRE_FALSE(t->add(consumer_options{.topic = key.topic,
                                          .subscription = "s",
                                          .handler = [held](const received_message&) { return disposition::ack; }}));
  }
  REQUIRE_FALSE(t->remove(key)); // whether it had begun to start or not
  const auto deadline = std::chrono::steady_clock::now() + 10s;
  while (held.use_count() > 1)
    REQUIRE(std::chrono::steady_clock::now() < deadline);
  CHECK(describe(t->wait_ready(1ms)).find("consumer") == std::string::npos); // nobody waits for it
}

namespace {

std::vector<std::string> below_topics(const tree& t) {
  std::vector<std::string> keys;
  for (const auto& e : t.inspect().entries)
    if (e.depth == 2)
      keys.push_back(e.key);
  std::sort(keys.begin(), keys.end());
  return keys;
}

} // namespace

TEST_CASE_METHOD(fixture,
                 "a producer of dead letters goes with the last who needs it, and gives way to one that is described") {
  auto o = nowhere();
  o.intensity = 100;
  o.templates["tenant"] = [](const std::string& tenant) {
    return pipelines{.consumers = {{.topic = {.tenant = tenant, .topic = "orders"},
                                    .subscription = "s",
                                    .dead_letter_topic = "public/default/dead",
                                    .handler = [](const received_message&) { return disposition::ack; },
                                    .on_failure = failure_action::dead_letter}}};
  };
  const auto t = start(system, std::move(o));
  REQUIRE(t);
  const auto before = below_topics(*t);
  const registry_key dead{topic_name{.topic = "dead"}};
  for (const auto* tenant : {"a", "b"})
    CHECK_FALSE(t->start_child("tenant", tenant));
  CHECK(t->whereis(dead));
  CHECK(below_topics(*t).size() == before.size() + 3);
  CHECK_FALSE(t->terminate_child("tenant", "a"));
  CHECK(t->whereis(dead)); // b needs it

  const auto implicit = t->whereis(dead);
  CHECK_FALSE(t->add(producer_options{.topic = dead.topic, .max_pending = 7}));
  CHECK(t->await(dead, 5s) != implicit);
  std::promise<errc> eighth;
  for (int i = 0; i < 7; ++i)
    t->produce(dead, message{.payload = "x"}, receipt_handler{});
  t->produce(dead, message{.payload = "x"}, [&](caf::expected<message_id> a) { eighth.set_value(code_of(a.error())); });
  CHECK(eighth.get_future().get() == errc::queue_full); // its own options count

  CHECK_FALSE(t->remove(dead));
  CHECK(t->await(dead, 5s)); // b still needs one
  CHECK_FALSE(t->terminate_child("tenant", "b"));
  CHECK(below_topics(*t) == before);
  CHECK_FALSE(t->whereis(dead));
}

TEST_CASE_METHOD(fixture,
                 "names outlive the registry's actor, so that no two generations of a producer run side by side") {
  auto o = nowhere();
  o.intensity = 100;
  o.shutdown = 1s;
  const auto t = start(system, std::move(o));
  REQUIRE(t);
  // Its ledger is not empty, so that it takes its time to drain.
  for (int i = 0; i < 2; ++i)
    t->produce(registry_key{orders}, message{.payload = "x"}, receipt_handler{});
  const registry_key acknowledger{"producer_ack", orders};
  const auto first = t->whereis(acknowledger);
  send_exit(t->registry().whereis("reg_default"), caf::exit_reason::kill);
  send_exit(t->registry().whereis("topics_default"), caf::exit_reason::kill);
  const auto deadline = std::chrono::steady_clock::now() + 20s;
  for (;;) {
    const auto now = t->whereis(acknowledger);
    if (now && now != first) {
      CHECK(has_ended(first));
      break;
    }
    REQUIRE(std::chrono::steady_clock::now() < deadline);
  }
  CHECK_FALSE(t->stop());
}

TEST_CASE_METHOD(fixture, "a handler may let go of its tree, which then stops by itself") {
  const auto world = std::make_shared<test::fake_world>(system);
  std::mutex mutex;
  tree last; // guarded by mutex
  std::promise<std::pair<errc, std::chrono::steady_clock::duration>> seen;
  auto o = nowhere();
  o.producers.clear();
  o.consumers.front().handler = [&](const received_message&) {
    const auto begun = std::chrono::steady_clock::now();
    const std::lock_guard guard{mutex};
    const auto stopped = last.stop();
    last = {};
    seen.set_value({code_of(stopped), std::chrono::steady_clock::now() - begun});
    return disposition::ack;
  };
  world->on_connect = [](test::fake_world::connection& c) {
    c.who->on_open();
    c.who->on_frames({R"({"messageId":"CAo=","payload":"","publishTime":"2026-01-01T00:00:00Z"})"},
                     connection::load::busy);
  };
  caf::actor supervisor;
  {
    const std::lock_guard guard{mutex};
    auto t = internal::start_in(system, std::move(o), world);
    REQUIRE(t);
    supervisor = t->supervisor();
    last = std::move(*t);
  }
  const auto [code, took] = seen.get_future().get();
  CHECK(code == errc::would_block); // it would wait for the handler that calls it
  CHECK(took < 2s);
  const auto deadline = std::chrono::steady_clock::now() + 10s;
  while (!has_ended(supervisor))
    REQUIRE(std::chrono::steady_clock::now() < deadline);
}
