// The broker itself ends, comes back, forbids and forgets. These tests have a broker of their own.
#include "integration/proxy.hpp"
#include "integration/tests/broker_control.hpp"
#include "integration/tests/support.hpp"

using namespace stargate;
using namespace stargate::compat;
using namespace stargate::integration;

namespace {

struct own_broker : fixture {
  broker_control control{18200};

  options here() {
    auto o = base();
    o.hosts = {{"127.0.0.1", control.port()}};
    o.producers = {{.topic = topic, .send_timeout = 60s}};
    o.backoff = {.first = 100ms, .most = 1s};
    return o;
  }
};

} // namespace

TEST_CASE_METHOD(own_broker, "a broker that is stopped, and one that is killed, under load, loses nothing",
                 "[restart]") {
  constexpr std::size_t count = 30'000;
  accounts consumed{count}, read{count};
  control.start(); // so that it has its namespaces
  {
    // What every subscription has acknowledged, a broker may delete when it loads a topic again, whether a reader that
    // is not connected at that moment has read it or not: so one holds everything.
    const admin a{here()};
    REQUIRE_FALSE(a.create_topic(topic));
    REQUIRE_FALSE(a.create_subscription(topic, "holds", initial_position::earliest));
  }
  control.stop();
  auto o = here(); // nothing listens there now
  o.consumers = {consumer(make_handler<note_number>(&consumed))};
  o.consumers[0].processors = 4;
  o.readers = {{.topic = topic, .start = start_at::earliest(), .handler = make_handler<note_number>(&read)}};
  const auto t = run(std::move(o));
  CHECK(code_of(t.wait_ready(300ms)) == errc::timed_out);
  control.start_again();
  const auto back = std::chrono::steady_clock::now();
  const auto why = t.wait_ready(30s);
  INFO(describe(why));
  REQUIRE_FALSE(why);
  CHECK(std::chrono::steady_clock::now() - back < 5s);

  feeder feed{t, {producer}, consumed};
  std::size_t number = 0;
  const auto send = [&](std::size_t messages) {
    for (const auto end = number + messages; number < end; ++number)
      feed.send(number);
  };
  const auto flows_within_5_seconds = [&] {
    // It has returned when it serves the topic, whose ledgers it may have to recover first.
    const admin a{here()};
    REQUIRE(wait_until(within(30s), [&] { return static_cast<bool>(a.stats(topic)); }));
    const auto up = std::chrono::steady_clock::now();
    const auto before = consumed.handled(); // what comes again is traffic, too
    REQUIRE(wait_until(within(30s), [&] { return consumed.handled() > before; }));
    CHECK(std::chrono::steady_clock::now() - up < 5s);
  };
  send(10'000);
  std::thread loading{[&] { send(10'000); }};
  control.stop();
  control.start_again();
  flows_within_5_seconds();
  loading.join();
  loading = std::thread{[&] { send(10'000); }};
  control.kill();
  control.start_again();
  flows_within_5_seconds();
  loading.join();
  REQUIRE(feed.finish(within(120s)));
  const bool all = wait_until(within(120s), [&] { return consumed.processed() == count && read.processed() == count; });
  accounts stored{count};
  if (!all) { // does the topic have them?
    auto from_the_start = here();
    from_the_start.name = "again";
    from_the_start.producers.clear();
    from_the_start.readers = {
      {.topic = topic, .start = start_at::earliest(), .handler = make_handler<note_number>(&stored)}};
    const auto again = run(std::move(from_the_start));
    static_cast<void>(wait_until(within(60s), [&] { return stored.processed() == count; }));
  }
  INFO("not consumed: " << consumed.unprocessed() << "; not read: " << read.unprocessed()
                        << "; not read by another reader: " << (all ? "" : stored.unprocessed()) << "\n"
                        << to_string(t.inspect()) << logged);
  CHECK(consumed.processed() == count);
  CHECK(read.processed() == count);
  CHECK(consumed.receipted() == count);
  CHECK(t.inspect().restarts == 0);
}

TEST_CASE_METHOD(fixture, "attempts to connect follow the backoff") {
  proxy between{broker().port};
  between.refuse(true);
  auto o = with_producer();
  o.hosts = {{"127.0.0.1", between.port()}};
  o.backoff = {.first = 200ms, .most = 1600ms};
  const auto began = std::chrono::steady_clock::now();
  const auto t = run(std::move(o));
  // At once, and then after 200, 400, 800, 1600 and 1600 ms, of each of which a random part up to a half is taken off.
  REQUIRE(wait_until(within(20s), [&] { return between.attempts() >= 6; }));
  const auto took = std::chrono::steady_clock::now() - began;
  CHECK(took >= 2300ms * 0.8);
  CHECK(took <= 4600ms * 1.2);
}

TEST_CASE_METHOD(fixture, "a topic that is terminated refuses messages by name, and the tree lives on") {
  inbox box;
  auto o = with_producer();
  o.consumers = {consumer(box.keeps())};
  o.producers[0].send_timeout = 3s;
  o.intensity = 3;
  const auto t = run_connected(std::move(o));
  REQUIRE(t.produce(producer, "before"));
  const admin a{base()};
  REQUIRE_FALSE(a.terminate(topic));
  const auto refused = t.produce(producer, "after");
  REQUIRE_FALSE(refused);
  CHECK(box.has(1));
  const auto other = fresh_topic("other");
  REQUIRE_FALSE(t.add(producer_options{.topic = other}));
  CHECK(wait_until(within(20s), [&] { return static_cast<bool>(t.produce(registry_key{other}, "x")); }));
}

TEST_CASE_METHOD(fixture, "a topic that is deleted under its clients comes back with them") {
  inbox box;
  auto o = with_producer();
  o.consumers = {consumer(box.keeps())};
  o.backoff = {.first = 50ms, .most = 500ms};
  const auto t = run_connected(std::move(o));
  REQUIRE(t.produce(producer, "before"));
  REQUIRE(box.has(1));
  const admin a{base()};
  REQUIRE_FALSE(a.delete_topic(topic, true));
  REQUIRE(wait_until(within(30s), [&] { return static_cast<bool>(t.produce(producer, "after")); }));
  CHECK(wait_until(within(30s), [&] { return box.payloads().back() == "after"; }));
}

TEST_CASE_METHOD(fixture, "a backlog quota that is exceeded refuses, and messages flow when there is room again") {
  const admin a{base()};
  const std::string ns = "quota-" + std::to_string(getpid());
  REQUIRE_FALSE(a.create_namespace("public/" + ns));
  topic.ns = ns;
  producer = registry_key{topic};
  REQUIRE(a.request("POST", "namespaces/public/" + ns + "/backlogQuota?backlogQuotaType=destination_storage",
                    R"({"limitSize":20000,"limit":20000,"policy":"producer_exception"})"));
  REQUIRE_FALSE(a.create_topic(topic));
  REQUIRE_FALSE(a.create_subscription(topic, "slow", initial_position::earliest));
  auto o = with_producer();
  o.producers[0].send_timeout = 2s;
  o.backoff = {.first = 50ms, .most = 500ms};
  const auto t = run_connected(std::move(o));
  // The broker looks at quotas every few seconds; until then it takes everything.
  REQUIRE(wait_until(within(90s), [&] { return !t.produce(producer, std::string(20'000, 'x')); }));
  CHECK_FALSE(has_ended(t.supervisor()));
  REQUIRE_FALSE(a.skip_all(topic, "slow"));
  CHECK(wait_until(within(90s), [&] { return static_cast<bool>(t.produce(producer, "room")); }));
}
