#include "integration/proxy.hpp"
#include "integration/tests/support.hpp"
#include "integration/wire.hpp"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <functional>
#include <optional>
#include <random>
#include <set>
#include <thread>

using namespace stargate;
using namespace stargate::compat;
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

  {
    const bool ready = wait_until(within(30s), [&] { return !t.wait_ready(1s); });
    INFO(describe(t.wait_ready(1ms)) << "\n" << to_string(t.inspect()) << logged);
    REQUIRE(ready);
  }
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

// -- the handler -------------------------------------------------------------------

TEST_CASE_METHOD(fixture,
                 "a poison message restarts nothing and leaves its neighbours alone, with nack and dead letter") {
  for (const auto action : {failure_action::nack, failure_action::dead_letter}) {
    topic = fresh_topic("poison");
    producer = registry_key{topic};
    inbox box;
    auto o = with_producer();
    auto poisoned = consumer([&](const received_message& m) -> disposition {
      if (m.payload == "poison")
        throw std::runtime_error{"I cannot swallow this"};
      return box.keep(m);
    });
    poisoned.on_failure = action;
    poisoned.negative_ack_redelivery_delay = 100ms;
    o.consumers = {poisoned};
    const auto neighbour_topic = fresh_topic("neighbour");
    o.producers.push_back({.topic = neighbour_topic});
    inbox neighbour;
    auto healthy = consumer(neighbour.keeps());
    healthy.topic = neighbour_topic;
    o.consumers.push_back(healthy);
    const auto t = run_connected(std::move(o));
    for (int i = 0; i < 100; ++i) {
      REQUIRE(t.produce(producer, i == 50 ? "poison" : "fine"));
      REQUIRE(t.produce(registry_key{neighbour_topic}, "fine"));
    }
    CHECK(box.has(99));
    CHECK(neighbour.has(100));
    CHECK(t.inspect().restarts == 0);
  }
}

namespace {

/// What this process has in memory, in bytes.
std::size_t resident() {
  std::ifstream file{"/proc/self/statm"};
  std::size_t total = 0, pages = 0;
  file >> total >> pages;
  return pages * static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
}

/// What the tests take: the long runs have ten times as many.
std::size_t many(std::size_t in_short) {
  return std::getenv("STARGATE_LONG") != nullptr ? in_short * 10 : in_short;
}

} // namespace

TEST_CASE_METHOD(fixture,
                 "no handler fills our memory, whether it stalls, is slow, goes on for ever or refuses everything",
                 "[memory]") {
  const auto count = many(100'000);
  accounts stored{count};
  {
    auto o = with_producer();
    o.producers[0].batching = true;
    const auto t = run_connected(std::move(o));
    feeder feed{t, {producer}, stored};
    for (std::size_t i = 0; i < count; ++i)
      feed.send(i);
    REQUIRE(feed.finish(within(300s)));
  }
  constexpr std::size_t queue = 1'000, frame = 600;
  std::atomic<bool> go = false;
  struct conduct {
    std::string name;
    std::function<disposition()> handle;
    std::size_t entered_least; ///< So many messages reach the handler, or the others wait at the dispatcher.
  };
  for (const auto& c : {conduct{"stalls",
                                [&] {
                                  go.wait(false);
                                  return disposition::ack;
                                },
                                1},
                        conduct{"slow",
                                [] {
                                  std::this_thread::sleep_for(1s);
                                  return disposition::ack;
                                },
                                2},
                        conduct{"continues", [] { return disposition::continue_; }, queue - 100},
                        conduct{"refuses", [] { return disposition::nack; }, 20 * queue}}) {
    INFO(c.name);
    std::atomic<std::size_t> entered = 0;
    auto o = base();
    o.consumers = {consumer(
      [&](const received_message&) {
        ++entered;
        return c.handle();
      },
      c.name)};
    o.consumers[0].receiver_queue_size = queue;
    const auto before = resident();
    const auto t = run_connected(std::move(o));
    const auto dispatcher = [&] {
      for (const auto& e : t.inspect(1s).entries)
        if (e.key == to_string(registry_key{"dispatcher/" + c.name, topic}) && e.how)
          return e.how->in_flight;
      return std::size_t{0};
    };
    // All that the broker sends without an acknowledgement is here: then more time brings no more.
    REQUIRE(wait_until(within(300s), [&] {
      return entered >= c.entered_least && (entered >= queue - 100 || dispatcher() >= queue - 100);
    }));
    std::this_thread::sleep_for(2s);
    const auto waiting = dispatcher(), grown = resident() > before ? resident() - before : 0;
    WARN("handler " << c.name << ", " << count << " messages on the topic: grew by " << grown / 1024 << " KiB; "
                    << entered << " were handled, " << waiting << " wait at the dispatcher");
    CHECK(waiting <= queue);
    // A thread, its stack and the allocator's arenas are there whatever waits: 4 MiB for them.
    CHECK(grown < queue * frame * 11 / 10 + (4u << 20));
    go = true;
    go.notify_all();
    CHECK_FALSE(t.stop(10s));
  }
}

TEST_CASE_METHOD(fixture, "a producer that is flooded while receipts are withheld refuses, and does not grow",
                 "[memory]") {
  proxy between{broker().port};
  auto o = with_producer();
  o.hosts = {{"127.0.0.1", between.port()}};
  constexpr std::size_t pending = 2'000, size = 1'000;
  o.producers[0].max_pending = pending;
  o.producers[0].send_timeout = 60s;
  const auto t = run_connected(std::move(o));
  between.stall(way::down, true);
  std::atomic<std::size_t> refused = 0, answered = 0;
  const auto before = resident();
  const auto count = many(200'000);
  for (std::size_t i = 0; i < count; ++i)
    t.produce(producer, message{.payload = std::string(size, 'x')}, [&](caf::expected<message_id> a) {
      ++answered;
      refused += !a && code_of(a.error()) == errc::queue_full ? 1 : 0;
    });
  CHECK(wait_until(within(30s), [&] { return answered == count - pending; }));
  const auto grown = resident() - before;
  WARN("flooded producer, " << count << " messages: grew by " << grown / 1024 << " KiB");
  CHECK(refused == count - pending);
  between.stall(way::down, false);
  CHECK(wait_until(within(30s), [&] { return answered == count; }));
}

// -- stopping at any moment ----------------------------------------------------------

TEST_CASE_METHOD(fixture,
                 "stopped at any moment it drains in time, and what was handled is exactly what was acknowledged") {
  const auto tries = many(100);
  const auto threads = [] {
    return std::distance(std::filesystem::directory_iterator{"/proc/self/task"}, std::filesystem::directory_iterator{});
  };
  const std::size_t count = 40 * tries;
  {
    std::vector<message> all;
    for (std::size_t i = 0; i < count; ++i)
      all.push_back({.payload = "x", .properties = {{"number", std::to_string(i)}}});
    store(std::move(all));
  }
  proxy between{broker().port};
  between.keep_sent();
  std::mutex mutex;
  std::multiset<std::string> handled; // in this try; guarded by mutex
  std::vector<std::atomic<int>> handled_in(count);
  std::atomic<int> now{1}, again{0};
  std::mt19937 random{3};
  const auto idle = threads();
  std::size_t all = 0; // acknowledgements that were compared
  std::chrono::milliseconds longest{0};
  const auto receiving = [&] {
    auto o = with_consumer([&](const received_message& m) {
      const auto before = handled_in[std::stoul(m.properties.at("number"))].exchange(now);
      again += before != 0 && before != now ? 1 : 0;
      const std::lock_guard guard{mutex};
      handled.insert(m.id.value);
      return disposition::ack;
    });
    o.hosts = {{"127.0.0.1", between.port()}};
    o.consumers[0].processors = 2;
    o.consumers[0].receiver_queue_size = 20;
    o.producers = {{.topic = fresh_topic("beside")}};
    return o;
  };
  for (std::size_t i = 0; i < tries; ++i) {
    now = static_cast<int>(i) + 1;
    std::optional<caf::actor_system> own{config};
    std::optional<tree_scope> scope{*own};
    auto t = std::move(*start(*own, receiving()));
    if (random() % 4 != 0)
      static_cast<void>(t.wait_ready(10s));
    std::this_thread::sleep_for(std::chrono::microseconds{random() % 20'000});
    const auto began = std::chrono::steady_clock::now();
    switch (random() % 4) {
      case 0: REQUIRE_FALSE(t.stop()); break;
      case 1: t = {}; break;
      case 2: send_exit(t.supervisor(), caf::exit_reason::user_shutdown); break;
      default: break;
    }
    scope.reset();
    own.reset(); // and a handle to the tree may be left
    longest = std::max(longest,
                       std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - began));
    REQUIRE(wait_until(within(10s), [&] { return between.open() == 0; }));
    std::multiset<std::string> acknowledged;
    for (const auto& bytes : between.take_sent())
      for (const auto& text : frames_in(bytes).texts)
        acknowledged.insert(text.substr(text.find(":\"") + 2, text.rfind('"') - text.find(":\"") - 2));
    CHECK(acknowledged == std::exchange(handled, {}));
    all += acknowledged.size();
  }
  CHECK(longest < 10s);
  CHECK(all > tries);
  CHECK(wait_until(within(10s), [&] { return threads() <= idle + 4; })); // CAF keeps threads of detached actors
  now = static_cast<int>(tries) + 1;
  const auto last = run(receiving());
  CHECK(wait_until(within(30s), [&] {
    return std::all_of(handled_in.begin(), handled_in.end(), [](const auto& n) { return n > 0; });
  }));
  // The broker may deliver again what it was told of while it closed the consumer: that is not ours to check.
  WARN(tries << " stops with " << all << " acknowledgements, the longest took " << longest.count()
             << " ms; delivered again although acknowledged: " << again);
}
