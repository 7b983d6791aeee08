#include "integration/proxy.hpp"
#include "integration/tests/support.hpp"

#include <algorithm>

using namespace stargate;
using namespace stargate::integration;

namespace {

/// A tree with a producer, a consumer of four processors and a reader of two, on one topic.
options whole_pipeline(fixture& f, accounts& consumed, accounts& read) {
  auto o = f.with_producer();
  o.intensity = 1000; // the tests kill more often than real life does
  o.backoff = {.first = 20ms, .most = 500ms};
  o.consumers = {f.consumer(make_handler<note_number>(&consumed))};
  o.consumers[0].processors = 4;
  o.readers = f.with_reader(make_handler<note_number>(&read)).readers;
  o.readers[0].processors = 2;
  return o;
}

} // namespace

TEST_CASE_METHOD(fixture, "killing each kind of actor under load loses nothing, and the tree is whole again") {
  constexpr std::size_t count = 30'000;
  accounts consumed{count}, read{count};
  const auto t = run_connected(whole_pipeline(*this, consumed, read));
  const auto before = t.inspect();

  std::vector<std::string> victims;
  for (const auto* component :
       {"producer", "producer_ack", "producer_sup", "consumer/s", "dispatcher/s", "processor/s/2", "consumer_ack/s",
        "consumer_sup/s", "reader", "reader_dispatcher", "reader_processor/1", "reader_ack", "reader_sup"})
    victims.push_back(to_string(registry_key{component, topic}));
  victims.insert(victims.end(), {"topics_default", "reg_default"});

  feeder feed{t, {producer}, consumed};
  std::size_t killed = 0;
  for (std::size_t number = 0; number < count; ++number) {
    if (number > 0 && number % (count / (victims.size() + 1)) == 0 && killed < victims.size()) {
      const auto& name = victims[killed++];
      INFO(name);
      caf::actor victim;
      REQUIRE(wait_until(within(20s), [&] { return static_cast<bool>(victim = t.registry().whereis(name)); }));
      send_exit(victim, caf::exit_reason::kill);
    }
    feed.send(number);
  }
  CHECK(killed == victims.size());
  REQUIRE(feed.finish(within(60s)));
  CHECK(consumed.receipted() == count);
  CHECK(wait_until(within(60s), [&] { return consumed.processed() == count && read.processed() == count; }));
  CHECK(consumed.processed() == count);
  CHECK(read.processed() == count);

  REQUIRE(wait_until(within(30s), [&] { return !t.wait_ready(1s); }));
  const auto after = t.inspect();
  REQUIRE(after.entries.size() == before.entries.size());
  for (std::size_t i = 0; i < after.entries.size(); ++i) {
    INFO(to_string(after));
    CHECK(after.entries[i].key == before.entries[i].key);
    CHECK(after.entries[i].state == child_state::running);
    CHECK((after.entries[i].connection.empty() || after.entries[i].connection == "connected"));
  }
}

TEST_CASE_METHOD(fixture, "connections that are cut again and again lose nothing, and the order stays") {
  constexpr std::size_t count = 20'000;
  accounts consumed{count}, read{count};
  proxy between{broker().port};
  auto o = whole_pipeline(*this, consumed, read);
  o.hosts = {{"127.0.0.1", between.port()}};
  const auto t = run_connected(std::move(o));
  feeder feed{t, {producer}, consumed};
  std::size_t cuts = 0;
  for (std::size_t number = 0; number < count; ++number) {
    if (number % 1000 == 0)
      REQUIRE(wait_until(within(20s), [&] { return between.open() == 3 && !t.wait_ready(1ms); }));
    if (number % 1000 == 500) // in the middle of what was handed over since
      cuts += between.cut();
    feed.send(number);
  }
  REQUIRE(feed.finish(within(60s)));
  CHECK(cuts >= 40);
  CHECK(wait_until(within(60s), [&] { return consumed.processed() == count && read.processed() == count; }));
  CHECK(consumed.processed() == count);
  CHECK(read.processed() == count);
  CHECK(t.inspect().restarts == 0); // a lost connection is weather
  // The reader goes on where it was: what it saw twice is what was in flight, not the whole topic each time.
  CHECK(read.handled() < count + cuts * 1100);
  CHECK_FALSE(t.stop());

  // On the topic, the first of each message is in the order in which they were handed over.
  inbox all;
  const auto reader = run(with_reader(all.keeps()));
  accounts seen{count};
  std::size_t next = 0;
  REQUIRE(wait_until(within(60s), [&] { return all.size() >= count; }));
  store(std::vector<std::string>{"end"});
  REQUIRE(wait_until(within(60s), [&] { return all.all().back().payload == "end"; }));
  for (const auto& m : all.all()) {
    if (m.payload == "end")
      break;
    const auto number = std::stoul(m.properties.at("number"));
    REQUIRE(number <= next);
    next = std::max(next, number + 1);
  }
  CHECK(next == count);
}

TEST_CASE_METHOD(fixture, "a broker that is not there yet is waited for") {
  proxy between{broker().port};
  between.refuse(true);
  auto o = with_producer();
  inbox in;
  o.consumers = {consumer(in.keeps())};
  o.hosts = {{"127.0.0.1", between.port()}};
  o.backoff = {.first = 20ms, .most = 200ms};
  const auto t = run(std::move(o));
  CHECK(code_of(t.wait_ready(500ms)) == errc::timed_out);
  between.refuse(false);
  CHECK_FALSE(t.wait_ready(10s));
  CHECK(t.produce(producer, "x"));
  CHECK(in.has(1));
  CHECK(t.inspect().restarts == 0);
}

TEST_CASE_METHOD(fixture, "messages that are handed over while there is no connection are sent when there is") {
  proxy between{broker().port};
  auto o = with_producer();
  o.hosts = {{"127.0.0.1", between.port()}};
  o.backoff = {.first = 20ms, .most = 200ms};
  const auto t = run_connected(std::move(o));
  between.refuse(true);
  between.cut();
  std::atomic<int> stored = 0;
  for (int i = 0; i < 100; ++i)
    t.produce(producer, message{.payload = std::to_string(i)},
              [&](caf::expected<message_id> a) { stored += a ? 1 : 0; });
  CHECK(stored == 0);
  between.refuse(false);
  CHECK(wait_until(within(20s), [&] { return stored == 100; }));
}

TEST_CASE_METHOD(fixture, "an unreachable host is waited out by the next one in the list") {
  auto o = with_producer();
  o.hosts = {{"127.0.0.1", 1}, broker()};
  o.backoff = {.first = 20ms, .most = 200ms};
  const auto t = run(std::move(o));
  CHECK_FALSE(t.wait_ready(10s));
  CHECK(t.produce(producer, "x"));
}
