// Every option that goes to the broker, each seen to be understood there.
#include "integration/tests/support.hpp"

using namespace stargate;
using namespace stargate::integration;

namespace {

struct admin_fixture : fixture {
  stargate::admin broker_admin{base()};

  std::string stats(const topic_name& of) {
    auto text = broker_admin.stats(of);
    return text ? *text : describe(text.error());
  }
};

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

} // namespace

TEST_CASE_METHOD(admin_fixture, "all options of a producer together are taken by the broker, and messages arrive") {
  for (const auto compression : {compression_type::none, compression_type::lz4, compression_type::zlib,
                                 compression_type::zstd, compression_type::snappy}) {
    topic = fresh_topic();
    producer = registry_key{topic};
    auto o = with_producer();
    auto& p = o.producers[0];
    p.producer_name = "its name";
    p.batching = true;
    p.batch_size = 10;
    p.batch_delay = 20ms;
    p.broker_max_pending = 2000;
    p.routing = message_routing::round_robin;
    p.compression = compression;
    p.initial_sequence_id = 41;
    p.hashing = hashing_scheme::murmur3_32_hash;
    p.send_timeout = 20s;
    inbox in;
    o.consumers = {consumer(in.keeps())};
    const auto t = run_connected(std::move(o));
    CHECK(has(stats(topic), R"("producerName":"its name")"));
    for (const auto& answer : t.produce(producer, std::vector<message>(100, message{.payload = std::string(500, 'x')})))
      REQUIRE(answer);
    REQUIRE(in.has(100));
    CHECK(in.payloads() == std::vector<std::string>(100, std::string(500, 'x')));
  }
}

TEST_CASE_METHOD(admin_fixture, "all options of a consumer together are taken by the broker") {
  inbox in;
  auto o = with_producer();
  o.consumers = {consumer(in.keeps())};
  auto& c = o.consumers[0];
  c.type = subscription_type::key_shared;
  c.mode = subscription_mode::durable;
  c.consumer_name = "its name";
  c.priority_level = 3;
  c.ack_timeout = 2000ms;
  c.negative_ack_redelivery_delay = 700ms;
  c.max_redeliver_count = 5;
  c.dead_letter_topic = to_string(fresh_topic("dead"));
  c.receiver_queue_size = 7;
  c.crypto_failure_action = crypto_failure_action::consume;
  const auto t = run_connected(std::move(o));
  const auto seen = stats(topic);
  CHECK(has(seen, R"("consumerName":"its name")"));
  CHECK(has(seen, R"("type":"Key_Shared")"));
  REQUIRE(t.produce(producer, "x"));
  CHECK(in.has(1));
}

TEST_CASE_METHOD(admin_fixture, "a subscription that is not durable goes with its consumer") {
  inbox in;
  auto o = with_producer();
  o.consumers = {consumer(in.keeps())};
  o.consumers[0].type = subscription_type::exclusive;
  o.consumers[0].mode = subscription_mode::non_durable;
  auto t = run_connected(std::move(o));
  REQUIRE(broker_admin.subscriptions(topic));
  CHECK(broker_admin.subscriptions(topic)->size() == 1);
  CHECK_FALSE(t.stop());
  CHECK(wait_until(within(30s), [&] {
    const auto left = broker_admin.subscriptions(topic);
    return left && left->empty();
  }));
}

TEST_CASE_METHOD(fixture, "a message that is not acknowledged within ack_timeout comes again") {
  store(std::vector<std::string>{"x"});
  std::atomic<int> count = 0;
  auto o =
    with_consumer([&](const received_message&) { return ++count < 2 ? disposition::continue_ : disposition::ack; });
  o.consumers[0].ack_timeout = 1000ms;
  const auto t = run(std::move(o));
  CHECK(wait_until(within(30s), [&] { return count >= 2; }));
}

TEST_CASE_METHOD(admin_fixture, "a reader's options are taken by the broker") {
  inbox in;
  auto o = with_reader(in.keeps());
  o.readers[0].reader_name = "its name";
  o.readers[0].receiver_queue_size = 5;
  o.readers[0].crypto_failure_action = crypto_failure_action::discard;
  const auto t = run_connected(std::move(o));
  CHECK(has(stats(topic), R"("consumerName":"its name")"));
  store(std::vector<std::string>(20, "x"));
  CHECK(in.has(20));
}

TEST_CASE_METHOD(fixture, "the next host is tried when one fails") {
  auto o = with_producer();
  o.hosts = {{"127.0.0.1", 1}, {"no-such-host.invalid", 8080}, broker()};
  const auto t = run_connected(std::move(o));
  CHECK(t.produce(producer, "x"));
}

TEST_CASE_METHOD(fixture, "a message carries everything that it can") {
  inbox in;
  auto o = with_producer();
  o.consumers = {consumer(in.keeps())};
  const auto t = run_connected(std::move(o));
  const auto happened = std::chrono::system_clock::time_point{1'700'000'000'123ms};
  const auto before = std::chrono::system_clock::now();
  message m{.payload = "p", .key = "k", .context = "c", .properties = {{"a", "1"}, {"b", "ü"}}};
  m.event_time = happened;
  m.replication_clusters = {"standalone"};
  const auto id = t.produce(producer, m);
  REQUIRE(id);
  REQUIRE(in.has(1));
  const auto got = in.all().front();
  CHECK(got.id == *id);
  CHECK(got.payload == "p");
  CHECK(got.key == "k");
  CHECK(got.properties == m.properties);
  REQUIRE(got.event_time);
  CHECK(*got.event_time == happened);
  CHECK(got.publish_time > before - 60s);
  CHECK(got.topic() == topic);
}

TEST_CASE_METHOD(fixture, "a message is delivered after its delay, or at its time") {
  inbox in;
  auto o = with_producer();
  o.consumers = {consumer(in.keeps())};
  const auto t = run_connected(std::move(o));
  const auto began = std::chrono::steady_clock::now();
  message later{.payload = "later"};
  later.deliver_after = 1500ms;
  message at{.payload = "at"};
  at.deliver_at = std::chrono::system_clock::now() + 3s;
  REQUIRE(t.produce(producer, later));
  REQUIRE(t.produce(producer, at));
  REQUIRE(t.produce(producer, "now"));
  REQUIRE(in.has(1));
  CHECK(in.payloads().front() == "now");
  REQUIRE(in.has(2));
  CHECK(in.payloads()[1] == "later");
  // The broker looks at what is due once a second, and may be early by that much.
  CHECK(std::chrono::steady_clock::now() - began >= 450ms);
  REQUIRE(in.has(3));
  CHECK(std::chrono::steady_clock::now() - began >= 1950ms);
}

TEST_CASE_METHOD(fixture, "a description is refused as a whole, with every mistake") {
  auto o = with_producer();
  o.producers[0].batch_size = 10; // without batching
  o.consumers = {consumer([](const received_message&) { return disposition::ack; })};
  o.consumers[0].ack_timeout = 500ms;
  o.tls.key_file = "key.pem"; // without a certificate
  const auto refused = start(system, std::move(o));
  REQUIRE_FALSE(refused);
  const auto text = describe(refused.error());
  for (const auto* part : {"producers[0].batch_size is '10'", "needs batching", "consumers[0].ack_timeout is '500ms'",
                           "tls.certificate_file"})
    CHECK(has(text, part));
}
