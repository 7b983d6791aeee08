#include "libstargate/protocol/option_table.hpp"
#include "libstargate/protocol/option_values.hpp"

#include <stargate/error.hpp>

#include <catch2/catch.hpp>

#include <fstream>
#include <set>
#include <stdexcept>

using namespace stargate;
using namespace std::chrono_literals;

namespace {

disposition acknowledge(const received_message&) {
  return disposition::ack;
}

consumer_options consumer(std::string topic, std::string subscription) {
  return {.topic = {.topic = std::move(topic)}, .subscription = std::move(subscription), .handler = acknowledge};
}

} // namespace

TEST_CASE("a right description has no mistakes") {
  options o;
  o.producers = {{.topic = {.topic = "a"}}, {.topic = {.topic = "a", .persistence = persistence::non_persistent}}};
  o.consumers = {consumer("a", "one"), consumer("a", "two")};
  o.readers = {{.topic = {.topic = "a"}, .handler = acknowledge},
               {.topic = {.topic = "a"}, .reader_name = "second", .handler = acknowledge}};
  CHECK_FALSE(validate(o));
}

TEST_CASE("every mistake is named in one answer") {
  options o;
  o.hosts = {{"", 8080}};
  o.period = 0s;
  o.producers = {{.topic = {.topic = ""}}, {.topic = {.topic = "a"}, .max_pending = 0}, {.topic = {.topic = "a"}}};
  o.consumers = {consumer("a", ""), {.topic = {.topic = "a"}, .subscription = "s", .receiver_queue_size = 1001}};
  o.readers = {{.topic = {.topic = "a"}, .handler = acknowledge, .max_demand = 10, .min_demand = 10}};
  const auto wrong = validate(o);
  REQUIRE(wrong);
  CHECK(code_of(wrong) == errc::invalid_option);
  const auto text = describe(wrong);
  for (const auto* part : {"hosts is ':8080'", "period is '0'", "producers[0].topic",
                           "producers[1].max_pending is '0', allowed is 1 to 1000000",
                           "producers[2].topic is 'persistent://public/default/a' again",
                           "consumers[0].subscription is ''", "consumers[1].handler is 'not set'",
                           "consumers[1].receiver_queue_size is '1001'", "readers[0].min_demand is '10'"}) {
    INFO(part);
    CHECK(text.find(part) != std::string::npos);
  }
}

TEST_CASE("two consumers of one topic and subscription, or two nameless readers of one topic, are refused") {
  options o;
  o.consumers = {consumer("a", "s"), consumer("a", "s")};
  CHECK(validate(o));
  o.consumers = {};
  o.readers = {{.topic = {.topic = "a"}, .handler = acknowledge}, {.topic = {.topic = "a"}, .handler = acknowledge}};
  CHECK(validate(o));
}

namespace {

template <class Options>
void add_parameters(std::set<std::string>& to, const std::string& endpoint) {
  for (const auto& row : protocol::rows<Options>())
    if (!row.parameter.empty())
      to.insert(endpoint + " " + row.parameter);
}

} // namespace

TEST_CASE("every parameter of the WebSocket API can be set, and no other is sent") {
  std::set<std::string> ours;
  add_parameters<options>(ours, "all");
  add_parameters<producer_options>(ours, "producer");
  add_parameters<consumer_options>(ours, "consumer");
  add_parameters<reader_options>(ours, "reader");
  std::set<std::string> pulsars;
  std::ifstream in{STARGATE_SOURCE_DIR "/test/data/websocket_api.txt"};
  for (std::string line; std::getline(in, line);)
    if (!line.empty() && line[0] != '#')
      pulsars.insert(line);
  CHECK(pulsars.size() > 25);
  CHECK(ours == pulsars);
}

TEST_CASE("each option that can be set from text shows the text again") {
  const auto try_all = [](auto o) {
    using part = decltype(o);
    for (const auto& row : protocol::rows<part>()) {
      if (!row.set)
        continue;
      bool read = false;
      for (const auto* text :
           {"true", "7", "earliest", "single", "lz4", "murmur3_32_hash", "shared", "durable", "nack", "discard",
            "scheduler", "wss", "7s", "1ms, 2s, 3min", "somewhere:81", "persistent://a/b/c", "name=file"}) {
        part fresh;
        if (!row.set(fresh, text))
          continue;
        read = true;
        const auto shown = row.value(fresh).value_or("");
        INFO(row.name << " from '" << text << "'");
        CHECK((shown == text || std::string{text}.find(shown) == 0 || (row.is_list && !shown.empty())
               || shown.find(text) != std::string::npos));
      }
      INFO(row.name);
      CHECK(read);
    }
  };
  try_all(options{});
  try_all(producer_options{});
  try_all(consumer_options{});
  try_all(reader_options{});
}

TEST_CASE("what is not a value is not read") {
  for (const auto& row : protocol::rows<consumer_options>()) {
    consumer_options c;
    if (row.name == "ack_timeout" || row.name == "type" || row.name == "pull_mode" || row.name == "rate_limit") {
      INFO(row.name);
      CHECK_FALSE(row.set(c, "sometimes"));
      CHECK_FALSE(row.set(c, "1x"));
    }
  }
}

TEST_CASE("options that need each other are refused alone") {
  options o;
  o.producers = {{.topic = {.topic = "a"}}};
  auto& p = o.producers[0];
  p.batch_size = 5;
  CHECK(validate(o));
  p.batching = true;
  CHECK_FALSE(validate(o));
  p.broker_max_pending = 10; // less than max_pending: the broker would refuse what we let through
  CHECK(validate(o));
  p.broker_max_pending = 5000;
  CHECK_FALSE(validate(o));
  p.encryption = {{"name", key_source::file("key.pem")}};
  CHECK(validate(o)); // encryption and batching
  o.producers = {};
  o.consumers = {consumer("a", "s")};
  auto& c = o.consumers[0];
  c.max_redeliver_count = 3;
  CHECK(validate(o));
  c.type = subscription_type::shared;
  CHECK_FALSE(validate(o));
  c.topics = {{.topic = "b"}};
  CHECK(validate(o)); // a topic and topics
  c.topic = {};
  CHECK(validate(o)); // several topics need a dead-letter topic of their own
  c.dead_letter_topic = "dead";
  CHECK_FALSE(validate(o));
  c.batch_size = c.max_demand + 1;
  CHECK(validate(o));
  o.consumers = {};
  o.readers = {{.topic = {.topic = "a"}, .handler = acknowledge}};
  o.readers[0].on_failure = failure_action::nack;
  CHECK(validate(o));
  o.readers[0].on_failure = failure_action::dead_letter;
  CHECK(validate(o));
  o.readers[0].dead_letter_topic = "dead";
  CHECK_FALSE(validate(o));
}

TEST_CASE("options that undo each other are doubted") {
  options o{.producers = {{.topic = {.topic = "a"}, .batching = true}, {.topic = {.topic = "b"}}},
            .consumers = {{.topic = {.topic = "a"}, .subscription = "s", .type = subscription_type::shared}}};
  CHECK(protocol::doubts(o).empty());
  o.consumers.push_back(
    {.topics = {{.topic = "a"}, {.topic = "b"}}, .subscription = "k", .type = subscription_type::key_shared});
  const auto doubts = protocol::doubts(o);
  REQUIRE(doubts.size() == 1);
  CHECK(doubts.front().find("the producer of persistent://public/default/a has batching, and the consumer 'k'") == 0);
}

TEST_CASE("a consumer of several topics speaks to another endpoint") {
  consumer_options c{.topics = {{.topic = "a"}, {.topic = "b"}}, .subscription = "s"};
  CHECK(
    protocol::request_path(c)
    == "/ws/v3/consumer/s?topics=persistent%3A%2F%2Fpublic%2Fdefault%2Fa%2Cpersistent%3A%2F%2Fpublic%2Fdefault%2Fb");
  c.topics = {};
  c.topics_pattern = "persistent://public/default/x-.*";
  CHECK(protocol::request_path(c) == "/ws/v3/consumer/s?topicsPattern=persistent%3A%2F%2Fpublic%2Fdefault%2Fx-.%2A");
  CHECK(protocol::registered_topic(c) == topic_name{.topic = "x-.*"});
}

TEST_CASE("a token comes from a text, a file or a function, and is checked before it is sent") {
  CHECK(*token_source::text(" abc.def \n")() == "abc.def");
  CHECK(*token_source::call([] { return "xyz"; })() == "xyz");
  for (const auto& wrong : {token_source::text("two words"), token_source::text(""), token_source::text("ü"),
                            token_source::call([]() -> std::string { throw std::runtime_error{"vault is shut"}; }),
                            token_source::file("/no/such/file")}) {
    const auto token = wrong();
    REQUIRE_FALSE(token);
    CHECK(code_of(token.error()) == errc::no_token);
    CHECK(describe(token.error()).find("words") == std::string::npos);
  }
}

TEST_CASE("values that are not set are left out of the handshake") {
  CHECK(protocol::request_path(producer_options{.topic = {.topic = "a b/ü"}})
        == "/ws/v2/producer/persistent/public/default/a%20b%2F%C3%BC?sendTimeoutMillis=30000");
  CHECK(protocol::request_path(consumer("a", "s/1")) == "/ws/v2/consumer/persistent/public/default/a/s%2F1");
  CHECK(protocol::request_path(reader_options{.topic = {.topic = "a"}})
        == "/ws/v2/reader/persistent/public/default/a?messageId=latest");
}

TEST_CASE("values that are set are in the handshake, encoded") {
  auto c = consumer("a", "s");
  c.type = subscription_type::key_shared;
  c.position = initial_position::earliest;
  c.consumer_name = "me & you";
  c.receiver_queue_size = 10;
  CHECK(
    protocol::request_path(c)
    == "/ws/v2/consumer/persistent/public/default/a/s?subscriptionType=Key_Shared&subscriptionInitialPosition=Earliest"
       "&consumerName=me%20%26%20you&receiverQueueSize=10");
  CHECK(protocol::request_path(reader_options{.topic = {.topic = "a"}, .start = message_id{"CAg+/w=="}})
        == "/ws/v2/reader/persistent/public/default/a?messageId=CAg%2B%2Fw%3D%3D");
}

TEST_CASE("a duration has its unit, and a bare number is none") {
  using namespace std::chrono_literals;
  const auto ms = [](const char* text) {
    std::chrono::milliseconds value{};
    return stargate::protocol::parse_value(text, value) ? std::optional{value} : std::nullopt;
  };
  CHECK(ms("0") == 0ms);
  CHECK_FALSE(ms("250"));
  CHECK(ms("250ms") == 250ms);
  CHECK(ms("10s") == 10s);
  CHECK(ms("2min") == 2min);
  CHECK(ms("1h") == 1h);
  CHECK(ms("1d") == 24h);
  for (const auto* wrong : {"", "s", "ms", "1.5s", "1 s", "1m", "1S", "10sec", "1e3ms", "--1s", "99999999999999999999s",
                            "9223372036854775807d"})
    CHECK_FALSE(ms(wrong));
  std::chrono::seconds seconds{};
  CHECK(stargate::protocol::parse_value("2000ms", seconds));
  CHECK(seconds == 2s);
  CHECK_FALSE(stargate::protocol::parse_value("1500ms", seconds)); // not without losing some
  CHECK_FALSE(stargate::protocol::parse_value("1500", seconds));
  using stargate::protocol::text_of;
  for (const auto* text : {"0", "250ms", "1500ms", "10s", "2min", "90s", "1h", "1d"})
    CHECK(text_of(*ms(text)) == text);                            // as it is shown, it can be written
  CHECK(stargate::protocol::parameter_of(*ms("10s")) == "10000"); // to the broker
  stargate::backoff_options backoff;
  CHECK(stargate::protocol::parse_value("100ms, 30s, 1min", backoff));
  CHECK_FALSE(stargate::protocol::parse_value("100, 30000, 10000", backoff));
  CHECK(backoff.most == 30s);
  CHECK(backoff.stable == 1min);
}
