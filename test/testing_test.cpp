// Worlds for tests of programs: `<stargate/testing.hpp>`.
#include <stargate/stargate.hpp>
#include <stargate/testing.hpp>

#include <catch2/catch.hpp>

#include <algorithm>
#include <memory>
#include <set>
#include <string>
#include <vector>

using namespace stargate;
using namespace std::chrono_literals;
using testing::world;

namespace {

const topic_name orders{.topic = "orders"};
const topic_name bills{.topic = "bills"};

options consuming(handler_factory handler, std::uint32_t processors = 1) {
  options o;
  o.consumers = {{.topic = orders,
                  .subscription = "billing",
                  .type = subscription_type::shared,
                  .position = initial_position::earliest,
                  .negative_ack_redelivery_delay = 30s,
                  .processors = processors,
                  .handler = std::move(handler)}};
  return o;
}

/// A tree that produces to a topic, and consumes from it.
tree connected(world& in, std::vector<std::string>& seen) {
  auto o = consuming([&](const received_message& m) {
    seen.push_back(m.payload);
    return disposition::ack;
  });
  o.producers = {{.topic = orders}};
  auto t = in.start(std::move(o));
  REQUIRE(t);
  REQUIRE_FALSE(t->wait_ready(10s));
  return std::move(*t);
}

std::vector<std::string> payloads(const std::vector<message>& of) {
  std::vector<std::string> all;
  for (const auto& m : of)
    all.push_back(m.payload);
  return all;
}

} // namespace

TEST_CASE("a world has a broker, and a tree on it that handles what is published") {
  world w;
  std::vector<std::string> seen;
  const auto t = w.start(consuming([&](const received_message& m) {
    seen.push_back(m.payload + " of " + m.key.value_or("nobody") + " " + m.properties.at("n"));
    return disposition::ack;
  }));
  REQUIRE(t);
  CHECK_FALSE(t->wait_ready(10s));
  w.publish(orders, {.payload = "42 books", .key = "alice", .properties = {{"n", "1"}}});
  CHECK(w.backlog(orders, "billing") == 1);
  w.advance(1s);
  CHECK(seen == std::vector<std::string>{"42 books of alice 1"});
  CHECK(w.backlog(orders, "billing") == 0);
  CHECK(payloads(w.acknowledged(orders, "billing")) == std::vector<std::string>{"42 books"});
  CHECK_FALSE(w.backlog(orders, "nobody"));
  CHECK(w.now() >= 1s);
}

TEST_CASE("in a world calls that wait let it go on, and an hour takes no time") {
  world w;
  options o;
  o.producers = {{.topic = orders}};
  const auto t = w.start(o);
  REQUIRE(t);
  const auto id = t->produce(make_registry_key("public", "default", "orders"), {.payload = "a", .key = "k"});
  REQUIRE(id);
  CHECK_FALSE(id->value.empty());
  REQUIRE(w.stored(orders).size() == 1);
  CHECK(w.stored(orders)[0].key == "k");
  const auto real = std::chrono::steady_clock::now();
  w.advance(1h);
  CHECK(std::chrono::steady_clock::now() - real < 10min); // it is not waited for
  CHECK(w.now() >= 1h);
}

TEST_CASE("in a world a refused message comes again after its delay") {
  world w;
  std::vector<std::uint32_t> counts;
  const auto t = w.start(consuming([&](const received_message& m) {
    counts.push_back(m.redelivery_count);
    return counts.size() < 3 ? disposition::nack : disposition::ack;
  }));
  REQUIRE(t);
  w.publish(orders, {.payload = "x"});
  w.advance(29s);
  CHECK(counts.size() == 1);
  CHECK(w.run_until([&] { return counts.size() == 3; }));
  CHECK(counts == std::vector<std::uint32_t>{0, 1, 2});
  CHECK(w.run_until([&] { return w.backlog(orders, "billing") == 0U; }));
}

TEST_CASE("in a world nothing is lost over faults, whatever the order of actors") {
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    world w{seed};
    auto o = consuming(
      [](const received_message& m, const handler_context& here) {
        here.tree.produce_and_ack(m, producer_key(bills), {.payload = "bill for " + m.payload});
        return disposition::continue_;
      },
      3);
    o.producers = {{.topic = bills}};
    const auto t = w.start(o);
    REQUIRE(t);
    for (int i = 0; i < 30; ++i) {
      w.publish(orders, {.payload = std::to_string(i)});
      w.advance(std::chrono::milliseconds{seed % 7});
      if (i == 5)
        w.cut();
      if (i == 10)
        w.half_open();
      if (i == 15)
        w.refuse(503);
      if (i == 20) {
        w.accept();
        w.go_down();
      }
      if (i == 25)
        w.come_back();
    }
    INFO("seed " << seed);
    REQUIRE(w.run_until([&] { return w.backlog(orders, "billing") == 0U; }));
    std::set<std::string> distinct;
    for (const auto& m : w.stored(bills))
      distinct.insert(m.payload);
    CHECK(distinct.size() == 30);
  }
}

TEST_CASE("the seed of a world is the order of its actors") {
  const auto order_of = [](std::uint64_t seed) {
    world w{seed};
    std::string order;
    const auto t = w.start(consuming(
      [&](const received_message& m) {
        order += m.payload;
        return disposition::ack;
      },
      4));
    REQUIRE(t);
    REQUIRE_FALSE(t->wait_ready(10s));
    for (const char c : std::string{"abcdefgh"})
      w.publish(orders, {.payload = {c}});
    w.advance(1s);
    CHECK(order.size() == 8);
    return order;
  };
  std::set<std::string> orders_seen;
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    const auto one = order_of(seed);
    CHECK(one == order_of(seed));
    orders_seen.insert(one);
  }
  CHECK(orders_seen.size() > 1);
}

TEST_CASE("a broker of a world that refuses, is down or slow is what a tree meets") {
  world w;
  options o;
  o.producers = {{.topic = orders, .send_timeout = 20s}};
  w.refuse(503);
  const auto t = w.start(o);
  REQUIRE(t);
  const auto why = t->wait_ready(5s);
  CHECK(describe(why).find("503") != std::string::npos);
  w.accept();
  CHECK_FALSE(t->wait_ready(60s));
  w.delay(100ms);
  const auto before = w.now();
  const auto key = producer_key(orders);
  CHECK(t->produce(key, {.payload = "slow"}));
  CHECK(w.now() - before >= 200ms);
  w.go_down();
  const auto lost = t->produce(key, {.payload = "down"});
  CHECK_FALSE(lost);
  CHECK_FALSE(w.administration().health() == caf::error{});
  w.come_back();
  CHECK_FALSE(t->wait_ready(60s));
  CHECK(t->produce(key, {.payload = "again"}));
  CHECK(payloads(w.stored(orders)).back() == "again");
}

TEST_CASE("a world's broker is administrated, and has partitions, namespaces and errors of its own") {
  world w;
  const auto to = w.administration();
  CHECK_FALSE(to.create_partitioned_topic(orders, 3));
  const auto count = to.partitions(orders);
  REQUIRE(count);
  CHECK(*count == 3);
  for (int i = 0; i < 20; ++i)
    w.publish(orders, {.payload = "x", .key = std::to_string(i)});
  CHECK(w.stored(orders).size() == 20);
  options o;
  o.producers = {{.topic = {.tenant = "nobody", .topic = "t"}}};
  const auto t = w.start(o);
  REQUIRE(t);
  CHECK(code_of(t->wait_ready(60s)) == errc::not_found);
}

TEST_CASE("a payload that messages share is published, produced and received as any other") {
  world w;
  const auto shared = std::make_shared<const std::string>("shared");
  std::vector<std::string> seen;
  const auto t = connected(w, seen);
  w.publish(orders, {.payload = "not this", .shared_payload = shared});
  const auto key = producer_key(orders);
  CHECK(t.produce(key, {.shared_payload = shared}));
  for (const auto& answer : t.produce(key, std::vector<message>(3, {.shared_payload = shared})))
    CHECK(answer);
  w.advance(1s);
  CHECK(seen == std::vector<std::string>(5, "shared"));
}

TEST_CASE("what is drained stays so, whatever is restarted, and goes on where it was") {
  std::vector<std::string> seen;
  std::vector<event::kind> told; // of the end of the tree, too
  world w;
  const auto t = connected(w, seen);
  const auto listening = t.subscribe([&](const event& e) { told.push_back(e.what); });
  const registry_key consumer{"consumer/billing", orders, "default"};
  const auto producer = producer_key(orders);
  CHECK(code_of(t.drain({"consumer/nobody", orders, "default"})) == errc::child_not_found);
  for (int i = 0; i < 2; ++i) { // the second time changes nothing
    REQUIRE_FALSE(t.drain(consumer));
    REQUIRE_FALSE(t.drain(producer));
  }
  CHECK_FALSE(t.wait_ready(0s));
  w.publish(orders, {.payload = "1"});
  const auto of_topics = t.registry().whereis("topics_default");
  REQUIRE(of_topics);
  for (int i = 0; i < 2; ++i) {
    w.advance(10s);
    CHECK(seen.empty());
    CHECK_FALSE(t.whereis(consumer));
    CHECK_FALSE(t.wait_ready(0s));
    const auto began = w.now();
    const auto answer = t.produce(producer, "2");
    CHECK(code_of(answer.error()) == errc::stopping);
    CHECK(describe(answer.error()).find("was drained") != std::string::npos);
    CHECK(w.now() - began < 1s);
    const auto shown = to_string(t.inspect());
    CHECK(shown.find("drained") != std::string::npos);
    compat::send_exit(of_topics, caf::exit_reason::kill); // and what comes after it begins by the plan
  }
  REQUIRE_FALSE(t.restart(consumer));
  REQUIRE_FALSE(t.wait_ready(10s));
  w.advance(1s);
  CHECK(seen == std::vector<std::string>{"1"});
  REQUIRE_FALSE(t.restart(producer));
  REQUIRE_FALSE(t.wait_ready(10s));
  CHECK(t.produce(producer, "3"));
  w.advance(1s);
  CHECK(seen == std::vector<std::string>{"1", "3"});
  CHECK(std::count(told.begin(), told.end(), event::kind::drained) == 2);
  REQUIRE_FALSE(t.drain(consumer));
  REQUIRE_FALSE(t.remove(consumer));
  CHECK(code_of(t.restart(consumer)) == errc::child_not_found);
}

TEST_CASE("an instance of a template is drained and restarted as a whole, by the key of anything in it") {
  std::vector<std::string> seen;
  world w;
  options o;
  o.templates["pair"] = [&](const std::string& argument) {
    const topic_name topic{.topic = argument};
    return pipelines{{{.topic = topic}},
                     {{.topic = topic,
                       .subscription = "s",
                       .handler =
                         [&](const received_message& m) {
                           seen.push_back(m.payload);
                           return disposition::ack;
                         }}},
                     {}};
  };
  const auto t = w.start(std::move(o));
  REQUIRE(t);
  REQUIRE_FALSE(t->start_child("pair", "a"));
  REQUIRE_FALSE(t->start_child("pair", "b"));
  REQUIRE_FALSE(t->wait_ready(10s));
  const auto a = producer_key({.topic = "a"}), b = producer_key({.topic = "b"});
  REQUIRE_FALSE(t->drain({"consumer/s", {.topic = "a"}, "default"}));
  CHECK_FALSE(t->wait_ready(0s));
  CHECK(code_of(t->produce(a, "x").error()) == errc::stopping);
  CHECK(t->produce(b, "x"));
  REQUIRE_FALSE(t->restart(a));
  REQUIRE_FALSE(t->wait_ready(10s));
  CHECK(t->produce(a, "y"));
  w.advance(1s);
  CHECK(seen == std::vector<std::string>{"x", "y"});
}

TEST_CASE("a handler alone is given a message, and what it says of it later is seen") {
  const auto alone = testing::make_received_message({.payload = "p", .key = "k", .properties = {{"a", "b"}}});
  CHECK(alone.payload == "p");
  CHECK_FALSE(alone.id.value.empty());
  CHECK(alone.id.value != testing::make_received_message({.payload = "p"}).id.value);
  alone.acknowledge(); // nobody is there
  CHECK(testing::make_received_message({.shared_payload = std::make_shared<const std::string>("s")}).payload == "s");

  world w;
  const auto watched = w.make_received({.payload = "p"}, orders);
  CHECK(watched.message.topic() == orders);
  CHECK(watched.acknowledged() == 0);
  watched.message.acknowledge();
  watched.message.negative_acknowledge();
  CHECK(watched.acknowledged() == 1);
  CHECK(watched.negatively_acknowledged() == 1);
}

TEST_CASE("a tree in a world may be below a supervisor of the test's") {
  world w;
  auto o = consuming([](const received_message&) { return disposition::ack; });
  o.name = "below";
  const auto top = spawn_supervisor(w.system(), {.children = {w.tree_spec(o)}});
  REQUIRE(w.run_until([&] { return w.backlog(orders, "billing").has_value(); }));
  w.publish(orders, {.payload = "x"});
  CHECK(w.run_until([&] { return w.backlog(orders, "billing") == 0U; }));
  compat::send_exit(top, caf::exit_reason::user_shutdown);
  w.advance(10s);
}
