// Producing effectively once, against a broker that deduplicates.
#include "integration/proxy.hpp"
#include "integration/tests/broker_control.hpp"
#include "integration/tests/support.hpp"

#include <atomic>
#include <random>
#include <string>
#include <vector>

using namespace stargate;
using namespace stargate::compat;
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
  o.producers[0].send_timeout = 10min; // longer than the slowest machine takes to restart the broker
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
  CHECK(feed.handed_over_again() == 0); // or the application itself would have them stored twice
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

// The case that 25 cuts and a restart had not shown: of 20,000 messages answered as stored 15,554 were lost when the
// socket was killed instead, since its successor numbered from where an earlier connection had begun.
TEST_CASE_METHOD(deduplicating,
                 "over 60 kills of a producer's actors, what is answered as stored is there once, in order") {
  ns += "-kills";
  make_namespace(base(), true);
  REQUIRE_FALSE(admin{base()}.create_topic(topic));
  REQUIRE_FALSE(admin{base()}.create_subscription(topic, "keeps", initial_position::earliest));
  constexpr std::size_t count = 20'000, kills = 60, most_pending = 100;
  enum answer : std::uint8_t { none, stored, unknown, failed, twice };
  std::vector<std::atomic<answer>> answers(count);
  std::atomic<std::size_t> pending = 0;
  auto o = once(base());
  o.intensity = 1'000;
  const auto t = run_connected(std::move(o));
  std::mt19937 random{20};
  std::size_t killed = 0;
  for (std::size_t number = 0; number < count; ++number) {
    if (number > 0 && killed < kills && number >= (killed + 1) * count / (kills + 1)) {
      const char* const components[] = {"producer", "producer_ack", "producer_sup"};
      const registry_key victim{components[killed % 3], topic};
      caf::actor who;
      REQUIRE(wait_until(within(20s), [&] { return static_cast<bool>(who = t.whereis(victim)); }));
      send_exit(who, caf::exit_reason::kill);
      ++killed;
    }
    REQUIRE(wait_until(within(60s), [&] {
      return pending < most_pending && t.whereis({"producer_ack", topic}) && t.whereis({"producer", topic});
    }));
    ++pending;
    message m{.payload = std::string(random() % 300, 'x'), .properties = {{"number", std::to_string(number)}}};
    t.produce(producer, std::move(m), [&, number](const caf::expected<message_id>& a) {
      const auto now = a ? stored : code_of(a.error()) == errc::outcome_unknown ? unknown : failed;
      answers[number] = answers[number] == none ? now : twice;
      --pending;
    });
  }
  REQUIRE(wait_until(within(120s), [&] { return pending == 0; }));
  CHECK(killed == kills);
  CHECK_FALSE(t.stop());

  std::vector<std::atomic<int>> seen(count);
  std::string faults;
  std::size_t last = 0;
  std::atomic<std::int64_t> last_at = 0;
  auto reading = base();
  reading.readers = {{.topic = topic, .start = start_at::earliest(), .handler = [&](const received_message& m) {
                        const auto number = std::stoul(m.properties.at("number"));
                        if (answers[number] == stored && number < last)
                          faults += " " + std::to_string(number) + " behind " + std::to_string(last);
                        if (answers[number] == stored)
                          last = number;
                        ++seen[number];
                        last_at = std::chrono::steady_clock::now().time_since_epoch().count();
                        return disposition::ack;
                      }}};
  const auto reader = run_connected(std::move(reading));
  const auto is_quiet = [&] {
    return last_at != 0
           && std::chrono::steady_clock::now().time_since_epoch() - std::chrono::steady_clock::duration{last_at.load()}
                > 3s;
  };
  REQUIRE(wait_until(within(120s), is_quiet));
  std::size_t counts[5] = {}, lost = 0, doubled = 0, untrue = 0;
  for (std::size_t number = 0; number < count; ++number) {
    ++counts[answers[number]];
    lost += answers[number] == stored && seen[number] == 0 ? 1 : 0;
    doubled += seen[number] > 1 ? 1 : 0;
    untrue += answers[number] == failed && seen[number] > 0 ? 1 : 0;
  }
  CHECK(counts[none] == 0);
  CHECK(counts[twice] == 0);
  CHECK(lost == 0);
  CHECK(doubled == 0);
  CHECK(untrue == 0);
  CHECK(faults == "");
  CHECK(counts[stored] > count / 2);
  WARN("stored: " << counts[stored] << ", unknown: " << counts[unknown] << ", refused: " << counts[failed]
                  << ", lost: " << lost << ", twice: " << doubled);
}
