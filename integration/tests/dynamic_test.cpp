// A tree that changes while it runs: what is added, removed, and started from a template.
#include "integration/tests/support.hpp"

using namespace stargate;
using namespace stargate::compat;
using namespace stargate::integration;

TEST_CASE_METHOD(fixture, "a producer and a consumer are added to a running tree, and removed again") {
  const auto t = run(base());
  inbox box;
  REQUIRE_FALSE(t.add(producer_options{.topic = topic}));
  REQUIRE_FALSE(t.add(consumer(box.keeps())));
  REQUIRE_FALSE(t.wait_ready(30s));
  REQUIRE(t.produce(producer, "one"));
  REQUIRE(box.has(1));

  const auto again = t.add(producer_options{.topic = topic});
  CHECK(code_of(again) == errc::invalid_option);
  CHECK(describe(again).find(to_string(topic)) != std::string::npos);

  CHECK_FALSE(t.remove({"consumer/s", topic}));
  CHECK(t.keys({.component = "consumer/s"}).empty());
  REQUIRE(t.produce(producer, "two"));
  CHECK_FALSE(t.remove(producer));
  CHECK(code_of(t.remove(producer)) == errc::child_not_found);
  const auto refused = t.produce(producer, "three");
  REQUIRE_FALSE(refused);
  CHECK(code_of(refused.error()) == errc::not_registered);
  CHECK(box.payloads() == std::vector<std::string>{"one"});

  // The subscription stayed at the broker: added again, the consumer gets what came meanwhile.
  REQUIRE_FALSE(t.add(consumer(box.keeps())));
  REQUIRE(box.has(2));
  CHECK(box.payloads() == std::vector<std::string>{"one", "two"});
}

TEST_CASE_METHOD(fixture, "what was added outlives the restart of every supervisor above it") {
  const auto t = run(base());
  inbox box;
  REQUIRE_FALSE(t.add({.producers = {{.topic = topic}}, .consumers = {consumer(box.keeps())}}));
  REQUIRE_FALSE(t.wait_ready(30s));
  for (const auto* name : {"topics_default", "reg_default"}) {
    send_exit(t.registry().whereis(name), caf::exit_reason::kill);
    REQUIRE(wait_until(within(30s), [&] { return static_cast<bool>(t.produce(producer, name)); }));
  }
  CHECK(box.has(2));
}

TEST_CASE_METHOD(fixture, "a tenant's pipeline is started from a template, and terminated") {
  inbox box;
  auto o = base();
  const auto topic_of = [this](const std::string& tenant) {
    auto t = topic;
    t.topic += "-" + tenant;
    return t;
  };
  o.templates["tenant"] = [&](const std::string& tenant) {
    auto c = consumer(box.keeps());
    c.topic = topic_of(tenant);
    c.on_failure = failure_action::dead_letter;
    return pipelines{.producers = {{.topic = topic_of(tenant)}}, .consumers = {c}};
  };
  o.templates["broken"] = [](const std::string& argument) -> pipelines { throw std::runtime_error{"no " + argument}; };
  const auto t = run(std::move(o));
  REQUIRE_FALSE(t.start_child("tenant", "a"));
  REQUIRE_FALSE(t.start_child("tenant", "b/ü"));
  REQUIRE_FALSE(t.wait_ready(30s));
  CHECK(t.registry().whereis("pipelines_tenant_a"));
  REQUIRE(t.produce(topic_of("a"), "for a"));
  REQUIRE(t.produce(topic_of("b/ü"), "for b"));
  REQUIRE(box.has(2));

  CHECK(code_of(t.start_child("tenant", "a")) == errc::child_running);
  CHECK(code_of(t.start_child("nothing", "a")) == errc::child_not_found);
  const auto broken = t.start_child("broken", "luck");
  CHECK(code_of(broken) == errc::start_failed);
  CHECK(describe(broken).find("no luck") != std::string::npos);

  CHECK_FALSE(t.terminate_child("tenant", "a"));
  CHECK(code_of(t.terminate_child("tenant", "a")) == errc::child_not_found);
  CHECK_FALSE(t.registry().whereis("pipelines_tenant_a"));
  CHECK_FALSE(t.produce(topic_of("a"), "for a"));
  REQUIRE(t.produce(topic_of("b/ü"), "for b again"));
  REQUIRE(box.has(3));
  REQUIRE_FALSE(t.start_child("tenant", "a"));
  REQUIRE_FALSE(t.wait_ready(30s));
  CHECK(t.produce(topic_of("a"), "for a again"));
}

TEST_CASE_METHOD(fixture, "a snapshot shows what is in flight, what is asked for, and who is too busy to say") {
  auto o = with_producer();
  std::atomic<bool> go = false;
  o.consumers = {consumer([&](const received_message&) {
    go.wait(false);
    return disposition::ack;
  })};
  o.consumers[0].max_demand = 10;
  o.consumers[0].min_demand = 5;
  const auto t = run_connected(std::move(o));
  for (int i = 0; i < 20; ++i)
    REQUIRE(t.produce(producer, "x"));
  const auto entry = [&](const std::string& component) {
    for (auto& e : t.inspect(1s).entries)
      if (e.key == to_string(registry_key{component, topic}))
        return e;
    return tree_entry{};
  };
  CHECK(wait_until(within(10s), [&] {
    const auto d = entry("dispatcher/s").how;
    return d && d->in_flight == 10 && d->demand == 0;
  }));
  CHECK_FALSE(entry("processor/s/0").how); // its handler has it
  go = true;
  go.notify_all();
  CHECK(wait_until(within(10s), [&] {
    const auto d = entry("dispatcher/s").how;
    return d && d->in_flight == 0 && d->demand > 0;
  }));
  CHECK(entry("processor/s/0").how);
  CHECK(entry("producer").how);
  CHECK(entry("producer_ack").how->in_flight == 0);
}
