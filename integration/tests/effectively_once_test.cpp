// Producing effectively once, against a broker that deduplicates.
#include "integration/proxy.hpp"
#include "integration/tests/broker_control.hpp"
#include "integration/tests/support.hpp"

#include <random>

using namespace stargate;
using namespace stargate::integration;

namespace {

struct deduplicating : fixture {
  std::string ns = "once-" + std::to_string(getpid());

  void make_namespace(const options& o, bool on) {
    const admin a{o};
    static_cast<void>(a.create_namespace("public/" + ns));
    REQUIRE_FALSE(a.set_deduplication("public/" + ns, on));
    topic.ns = ns;
    producer = registry_key{topic};
  }
  options once(const options& from) {
    auto o = from;
    o.producers = {{.topic = topic, .send_timeout = 60s, .max_pending = 500}};
    o.producers[0].effectively_once = true;
    o.backoff = {.first = 20ms, .most = 500ms};
    return o;
  }
};

} // namespace

TEST_CASE_METHOD(deduplicating, "a namespace without deduplication is named at once, with what to do about it") {
  ns += "-off";
  make_namespace(base(), false);
  const auto t = run(once(base()));
  const auto why = t.wait_ready(20s);
  CHECK(code_of(why) == errc::invalid_option);
  CHECK(describe(why).find("public/" + ns) != std::string::npos);
  CHECK(describe(why).find("stargate admin namespaces deduplication") != std::string::npos);
}

TEST_CASE_METHOD(deduplicating, "a partitioned topic, whose partitions number by themselves, is refused") {
  ns += "-partitions";
  make_namespace(base(), true);
  REQUIRE_FALSE(admin{base()}.create_partitioned_topic(topic, 2));
  const auto why = run(once(base())).wait_ready(20s);
  CHECK(code_of(why) == errc::invalid_option);
  CHECK(describe(why).find("2 partitions") != std::string::npos);
}

// [restart]: it restarts a broker of its own.
TEST_CASE_METHOD(deduplicating,
                 "100,000 messages over 20 cuts and a restart of the broker are stored once each, in order",
                 "[restart]") {
  broker_control own{18200};
  own.start();
  auto here = base();
  here.hosts = {{"127.0.0.1", own.port()}};
  make_namespace(here, true);
  // A broker deletes what no subscription has to see, when it starts again.
  REQUIRE_FALSE(admin{here}.create_topic(topic));
  REQUIRE_FALSE(admin{here}.create_subscription(topic, "keeps", initial_position::earliest));
  constexpr std::size_t count = 100'000, cuts = 25;
  accounts books{count};
  proxy between{own.port()};
  auto o = once(here);
  o.hosts = {{"127.0.0.1", between.port()}};
  o.producers[0].max_pending = 1'000;
  const auto t = run_connected(std::move(o));
  std::mt19937 random{11};
  feeder feed{t, {producer}, books};
  std::thread restart;
  for (std::size_t number = 0; number < count; ++number) {
    if (number % (count / cuts) == 100)
      between.cut_after(random() % 2 == 0 ? way::up : way::down, static_cast<std::int64_t>(random() % 50'000));
    if (number == count / 2)
      restart = std::thread{[&] { own.restart(); }};
    feed.send(number);
  }
  restart.join();
  REQUIRE(feed.finish(within(120s)));
  CHECK(books.receipted() == count);
  CHECK(between.cuts() >= 20);
  CHECK_FALSE(t.stop());
  UNSCOPED_INFO(logged);

  std::size_t next = 0;
  std::string faults;
  std::atomic<std::size_t> seen = 0;
  auto reading = here;
  reading.readers = {{.topic = topic, .start = start_at::earliest(), .handler = [&](const received_message& m) {
                        const auto number = std::stoul(m.properties.at("number"));
                        if (number != next && faults.size() < 2'000)
                          faults += " " + std::to_string(number) + " instead of " + std::to_string(next);
                        next = number + 1;
                        ++seen;
                        return disposition::ack;
                      }}};
  const auto reader = run(std::move(reading));
  CHECK(wait_until(within(60s), [&] { return seen >= count; }));
  std::this_thread::sleep_for(500ms); // whatever is there twice comes now
  CHECK(seen == count);
  CHECK(faults == "");
  WARN("cuts: " << between.cuts() << ", messages on the topic: " << seen);
}
