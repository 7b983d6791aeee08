// Every fault that the proxy makes, on producers, consumers in both modes and readers, in the clear and in TLS.
#include "integration/proxy.hpp"
#include "integration/tests/support.hpp"

#include <random>

using namespace stargate;
using namespace stargate::integration;

namespace {

/// The secure broker, if the run has one: scripts/test has.
std::optional<options> with_tls(options o) {
  const auto* port = std::getenv("STARGATE_SECURE_PORT");
  const auto* credentials = std::getenv("STARGATE_CREDENTIALS");
  if (port == nullptr || credentials == nullptr)
    return std::nullopt;
  o.scheme = url_scheme::wss;
  o.hosts = {{"127.0.0.1", static_cast<std::uint16_t>(std::stoul(port) + 2)}};
  o.tls.ca_file = std::string{credentials} + "/ca.pem";
  o.token = token_source::file(std::string{credentials} + "/admin.token");
  return o;
}

/// A producer, a consumer in push mode, one in pull mode, and a reader, all through the proxy, and their books.
struct pipeline_under_test {
  static constexpr std::size_t count = 3'000;

  fixture& f;
  accounts pushed{count}, pulled{count}, read{count};
  std::unique_ptr<proxy> between;
  tree t;
  std::unique_ptr<feeder> feed;
  std::size_t next = 0;

  pipeline_under_test(fixture& fixture, options o) : f{fixture} {
    between = std::make_unique<proxy>(o.hosts.front().port);
    o.hosts = {{"127.0.0.1", between->port()}};
    o.backoff = {.first = 20ms, .most = 500ms};
    o.connect_timeout = 3s;
    o.ping_interval = 2s;
    o.pong_timeout = 2s;
    o.producers = {{.topic = f.topic}};
    o.consumers = {f.consumer(make_handler<note_number>(&pushed), "push"),
                   f.consumer(make_handler<note_number>(&pulled), "pull")};
    o.consumers[1].pull_mode = true;
    o.consumers[1].processors = 2;
    o.readers = {{.topic = f.topic, .start = start_at::earliest(), .handler = make_handler<note_number>(&read)}};
    t = f.run_connected(std::move(o));
    feed = std::make_unique<feeder>(t, std::vector{f.producer}, pushed);
  }

  void send(std::size_t messages) {
    for (const auto end = next + messages; next < end; ++next)
      feed->send(next);
  }
  bool all_there(std::chrono::milliseconds time = 60s) {
    return feed->finish(within(time)) && wait_until(within(time), [&] {
             return pushed.processed() == next && pulled.processed() == next && read.processed() == next;
           });
  }
  /// Sends some before, some during and some after a fault; all have to arrive, and nothing is restarted.
  void survives(const std::function<void(proxy&)>& begin, const std::function<void(proxy&)>& end) {
    send(300);
    REQUIRE(all_there());
    begin(*between);
    send(200);
    end(*between);
    send(100);
    CHECK(all_there());
    CHECK(pushed.receipted() == next);
    CHECK(t.inspect().restarts == 0);
  }
};

const auto nothing = [](proxy&) {};

void each_fault(fixture& f, const options& o) {
  {
    pipeline_under_test p{f, o};
    SECTION("cut") {
      p.survives([](proxy& between) { CHECK(between.cut() == 4); }, [](proxy& between) { between.cut(); });
    }
    SECTION("cut in the middle of a frame") {
      p.survives(
        [](proxy& between) {
          between.cut_after(way::up, 1'234);
          between.cut_after(way::down, 2'345);
        },
        nothing);
      CHECK(p.between->cuts() >= 2);
    }
    SECTION("the broker stops reading") {
      p.survives([](proxy& between) { between.stall(way::up, true); },
                 [](proxy& between) {
                   std::this_thread::sleep_for(500ms); // the fault lasts so long
                   between.stall(way::up, false);
                 });
    }
    SECTION("half-open: found by the pings, in less than twice their time") {
      p.send(100);
      REQUIRE(p.all_there());
      const auto before = p.between->attempts();
      p.between->stall(way::up, true);
      p.between->stall(way::down, true);
      const auto began = std::chrono::steady_clock::now();
      REQUIRE(wait_until(within(20s), [&] { return p.between->attempts() >= before + 4; }));
      CHECK(std::chrono::steady_clock::now() - began < 8s);
      p.between->stall(way::up, false);
      p.between->stall(way::down, false);
      p.send(100);
      CHECK(p.all_there());
    }
    SECTION("delay") {
      p.survives(
        [](proxy& between) {
          between.delay(way::up, 50ms);
          between.delay(way::down, 50ms);
        },
        [](proxy& between) {
          between.delay(way::up, 0ms);
          between.delay(way::down, 0ms);
        });
      CHECK(p.between->open() == 4); // slow is not lost
    }
    SECTION("throttle") {
      p.survives([](proxy& between) { between.throttle(way::up, 200'000); },
                 [](proxy& between) { between.throttle(way::up, 0); });
    }
    SECTION("refused connections, long enough to use up any intensity") {
      p.survives(
        [](proxy& between) {
          between.refuse(true);
          between.cut();
          const auto before = between.attempts();
          CHECK(wait_until(within(20s), [&] { return between.attempts() >= before + 20; }));
        },
        [](proxy& between) { between.refuse(false); });
    }
    SECTION("handshakes answered with 500 and 503") {
      for (const int status : {500, 503, 429})
        p.survives(
          [status](proxy& between) {
            between.answer(status);
            between.cut();
            const auto before = between.attempts();
            CHECK(wait_until(within(20s), [&] { return between.attempts() >= before + 8; }));
          },
          [](proxy& between) { between.answer(0); });
    }
  }
}

} // namespace

TEST_CASE_METHOD(fixture, "no fault of the network loses a message", "[proxy]") {
  each_fault(*this, base());
}

TEST_CASE_METHOD(fixture, "no fault of the network loses a message in TLS", "[proxy]") {
  const auto secure = with_tls(base());
  REQUIRE(secure);
  each_fault(*this, *secure);
}

TEST_CASE_METHOD(fixture, "a byte that is turned on the way from the broker costs the connection at most", "[proxy]") {
  // What is corrupted in a payload nobody can see without TLS; what breaks a frame or its JSON is seen.
  pipeline_under_test p{*this, base()};
  p.send(100);
  REQUIRE(p.all_there());
  for (int i = 0; i < 5; ++i) {
    p.between->corrupt(way::down);
    p.send(50);
    REQUIRE(wait_until(within(60s), [&] { return p.pulled.processed() + 30 >= p.next && !p.t.wait_ready(1s); }));
  }
  p.send(50);
  CHECK(p.feed->finish(within(60s)));
}

TEST_CASE_METHOD(fixture, "TLS sees a byte that was turned, and the message comes again", "[proxy]") {
  const auto secure = with_tls(base());
  REQUIRE(secure);
  pipeline_under_test p{*this, *secure};
  p.survives(
    [](proxy& between) {
      between.corrupt(way::down);
      between.corrupt(way::up);
    },
    nothing);
}

TEST_CASE_METHOD(fixture, "a proxy that closes what is silent never gets to, because of the pings", "[proxy]") {
  auto o = base();
  o.idle_check = 0ms;                         // whose questions would take the same way
  pipeline_under_test p{*this, std::move(o)}; // pings every 2 s, where 10 s against 30 s are usual
  p.between->close_idle(6s);
  p.send(10);
  REQUIRE(p.all_there());
  const auto attempts = p.between->attempts();
  std::this_thread::sleep_for(13s); // silence is what this is about
  CHECK(p.between->idle_closes() == 0);
  CHECK(p.between->attempts() == attempts);
  p.send(10);
  CHECK(p.all_there());
}

TEST_CASE_METHOD(fixture, "100 cuts at random bytes under load lose nothing, and keep the order of each key",
                 "[proxy][long]") {
  constexpr std::size_t count = 100'000, cuts = 100;
  accounts consumed{count};
  proxy between{broker().port};
  auto o = with_producer();
  o.hosts = {{"127.0.0.1", between.port()}};
  o.backoff = {.first = 10ms, .most = 200ms};
  o.producers[0].max_pending = 1'000;
  o.consumers = {consumer(make_handler<note_number>(&consumed))};
  o.consumers[0].processors = 4;
  o.consumers[0].partition_by_key = true;
  const auto t = run_connected(std::move(o));
  std::mt19937 random{7};
  feeder feed{t, {producer}, consumed};
  std::size_t armed = 0;
  for (std::size_t number = 0; number < count; ++number) {
    if (number % (count / cuts) == count / cuts / 2) {
      static_cast<void>(t.wait_ready(5s));
      between.cut_after(random() % 2 == 0 ? way::up : way::down, static_cast<std::int64_t>(random() % 60'000));
      ++armed;
    }
    feed.send(number);
  }
  REQUIRE(feed.finish(within(120s)));
  CHECK(wait_until(within(120s), [&] { return consumed.processed() == count; }));
  CHECK(consumed.processed() == count);
  CHECK(consumed.receipted() == count);
  CHECK(armed == cuts);
  CHECK(between.cuts() >= cuts * 3 / 4); // one that was not reached before the next was set makes way for it
  CHECK(t.inspect().restarts == 0);
  WARN("cuts: " << between.cuts() << ", messages handled again: " << consumed.handled() - count);
  CHECK_FALSE(t.stop());

  // On the topic, the first of each message is in order.
  std::vector<bool> seen(count);
  std::map<std::string, std::size_t> first_of_key;
  std::size_t wrong = 0, distinct = 0;
  std::atomic<bool> end = false;
  auto reading = with_reader([&](const received_message& m) {
    const auto number = m.properties.find("number");
    if (number == m.properties.end()) {
      end = true;
      return disposition::ack;
    }
    const auto n = std::stoul(number->second);
    if (!seen[n]) {
      seen[n] = true;
      ++distinct;
      auto& last = first_of_key[*m.key];
      wrong += n + 1 < last ? 1 : 0;
      last = n + 1;
    }
    return disposition::ack;
  });
  const auto reader = run(std::move(reading));
  store(std::vector<std::string>{"end"});
  REQUIRE(wait_until(within(60s), [&] { return end.load(); }));
  CHECK(distinct == count);
  CHECK(wrong == 0);
}
