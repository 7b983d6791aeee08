// Where other clients fell, and the original: each has a test here.
#include "integration/proxy.hpp"
#include "integration/tests/support.hpp"
#include "test/misbehaving_server.hpp"

#include <future>
#include <thread>

using namespace stargate;
using namespace stargate::integration;

// apache/pulsar issue 2731
TEST_CASE_METHOD(fixture, "a consumer goes on after as many messages as its queue holds timed out unacknowledged") {
  std::atomic<std::size_t> ignored = 0;
  inbox box;
  auto o = with_producer();
  auto c = consumer([&](const received_message& m) {
    if (m.payload == "ignored" && ignored < 10) {
      ++ignored;
      return disposition::continue_; // and nobody ever acknowledges it
    }
    return box.keep(m);
  });
  c.receiver_queue_size = 10;
  c.ack_timeout = 1s;
  c.negative_ack_redelivery_delay = 100ms;
  o.consumers = {c};
  const auto t = run_connected(std::move(o));
  for (int i = 0; i < 10; ++i)
    REQUIRE(t.produce(producer, "ignored"));
  REQUIRE(wait_until(within(10s), [&] { return ignored == 10; }));
  CHECK(wait_until(within(5s), [&] { return was_logged("the broker sends no more until some are"); }));
  REQUIRE(t.produce(producer, "after"));
  CHECK(wait_until(within(30s), [&] {
    const auto all = box.payloads();
    return std::count(all.begin(), all.end(), "after") > 0 && std::count(all.begin(), all.end(), "ignored") >= 10;
  }));
}

// pulsar-client-cpp issue 453
TEST_CASE_METHOD(fixture, "Key_Shared consumers that are removed from other threads under load harm nobody") {
  accounts books{5'000};
  auto o = with_producer();
  const auto shared = [&](const std::string& name) {
    auto c = consumer(make_handler<note_number>(&books), "keys");
    c.type = subscription_type::key_shared;
    c.consumer_name = name;
    return c;
  };
  o.consumers = {shared("first")};
  const auto t = run_connected(std::move(o));
  feeder feed{t, {producer}, books};
  std::atomic<bool> going = true;
  std::atomic<std::size_t> removed = 0, trouble = 0;
  // A consumer of another tree on the same subscription comes and goes.
  std::thread other{[&] {
    while (going) {
      auto beside = base();
      beside.name = "beside";
      beside.consumers = {shared("second")};
      const auto second = start(system, std::move(beside));
      if (!second) {
        ++trouble;
        return;
      }
      static_cast<void>(second->wait_ready(10s));
      std::thread remover{[&] { ++(second->remove({"consumer/keys", topic, "beside"}) ? trouble : removed); }};
      remover.join();
    }
  }};
  for (std::size_t i = 0; i < 5'000; ++i)
    feed.send(i);
  CHECK(feed.finish(within(60s)));
  going = false;
  other.join();
  CHECK(removed > 0);
  CHECK(trouble == 0);
  CHECK(wait_until(within(60s), [&] { return books.processed() == 5'000; }));
}

// pulsar-client-cpp issue 63
TEST_CASE_METHOD(fixture, "a receipt's callback may produce, and make and remove producers") {
  const auto t = run_connected(with_producer());
  const auto other = fresh_topic("other");
  std::atomic<int> wrong = 0;
  const auto expect = [&](bool right) { wrong += right ? 0 : 1; }; // Catch's own are for the test's thread
  const auto elsewhere = std::make_shared<std::promise<std::thread>>();
  t.produce(producer, message{.payload = "one"}, [&, elsewhere](caf::expected<message_id> a) {
    expect(static_cast<bool>(a));
    t.produce(producer, message{.payload = "two"}, [&, elsewhere](caf::expected<message_id> b) {
      expect(static_cast<bool>(b));
      // On a thread of the scheduler, which has to go on: refused by name, and done elsewhere.
      expect(code_of(t.add(producer_options{.topic = other})) == errc::would_block);
      elsewhere->set_value(std::thread{[&] {
        expect(!t.add(producer_options{.topic = other}));
        expect(!t.remove(registry_key{other}));
      }});
    });
  });
  auto going = elsewhere->get_future();
  REQUIRE(going.wait_for(30s) == std::future_status::ready);
  going.get().join();
  CHECK(wrong == 0);
}

TEST_CASE_METHOD(fixture, "a callback that throws costs no other receipt") {
  const auto t = run_connected(with_producer());
  std::atomic<int> answered = 0;
  for (int i = 0; i < 100; ++i)
    t.produce(producer, message{.payload = "x"}, [&, i](caf::expected<message_id>) {
      ++answered;
      if (i % 2 == 0)
        throw std::runtime_error{"not my day"};
    });
  CHECK(wait_until(within(30s), [&] { return answered == 100; }));
  CHECK(t.produce(producer, "still there"));
  CHECK(t.inspect().restarts == 0);
}

TEST_CASE_METHOD(fixture, "concurrent ad-hoc produces to one URL share what they need") {
  temporary_producers ad_hoc{system};
  const auto url = "ws://" + broker().name + ":" + std::to_string(broker().port)
                   + "/ws/v2/producer/persistent/public/default/" + topic.topic;
  std::atomic<int> stored = 0;
  std::vector<std::thread> callers;
  for (int i = 0; i < 16; ++i)
    callers.emplace_back([&] {
      for (int n = 0; n < 5; ++n)
        stored += ad_hoc.produce(url, message{.payload = "x"}) ? 1 : 0;
    });
  for (auto& c : callers)
    c.join();
  CHECK(stored == 80);
}

TEST_CASE_METHOD(fixture, "a peer that closes with code 1000, is connected to again") {
  // The Elixir original takes 1000 for a wish to end, and lives on without a socket.
  std::atomic<int> connections = 0;
  auto o = with_producer();
  o.backoff = {.first = 10ms, .most = 50ms};
  test::misbehaving_server closing{[&](test::misbehaving_server::peer& p) {
    p.accept_websocket();
    ++connections;
    p.write_close(1000, "bye");
  }};
  o.hosts = {{"127.0.0.1", closing.port()}, broker()};
  const auto t = run(std::move(o));
  CHECK(wait_until(within(20s), [&] { return connections >= 1; }));
  CHECK(wait_until(within(20s), [&] { return static_cast<bool>(t.produce(producer, "x")); }));
  CHECK(t.inspect().restarts == 0);
}

TEST_CASE_METHOD(fixture, "a blocking produce ends in time on a link that is black-holed") {
  proxy between{broker().port};
  auto o = with_producer();
  o.hosts = {{"127.0.0.1", between.port()}};
  o.producers[0].send_timeout = 1s;
  const auto t = run_connected(std::move(o));
  between.stall(way::up, true);
  between.stall(way::down, true);
  const auto began = std::chrono::steady_clock::now();
  const auto answer = t.produce(producer, "x");
  REQUIRE_FALSE(answer);
  CHECK(code_of(answer.error()) == errc::outcome_unknown);
  CHECK(std::chrono::steady_clock::now() - began < 5s);
}

TEST_CASE_METHOD(fixture, "what waits in a producer makes no send slower") {
  // 1,000 and 20,000 messages are handed over while receipts are withheld; handing one over costs the same.
  const auto cost_of = [&](std::size_t pending) {
    proxy between{broker().port};
    auto o = with_producer();
    o.hosts = {{"127.0.0.1", between.port()}};
    o.producers[0].max_pending = pending;
    o.producers[0].topic = fresh_topic("waits");
    const registry_key to{o.producers[0].topic};
    const auto t = run_connected(std::move(o));
    between.stall(way::down, true);
    std::this_thread::sleep_for(100ms);
    std::atomic<std::size_t> answered = 0;
    const auto began = std::chrono::steady_clock::now();
    for (std::size_t i = 0; i < pending; ++i)
      t.produce(to, message{.payload = "x"}, [&](caf::expected<message_id>) { ++answered; });
    between.stall(way::down, false);
    CHECK(wait_until(within(60s), [&] { return answered == pending; }));
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count()
           / static_cast<double>(pending);
  };
  cost_of(1'000); // warms up
  const auto few = cost_of(1'000), many = cost_of(20'000);
  WARN("a message among 1,000 took " << few * 1e6 << " us, among 20,000 " << many * 1e6 << " us");
  CHECK(many < 2 * few);
}
