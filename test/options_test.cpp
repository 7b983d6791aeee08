#include "libstargate/protocol/option_table.hpp"

#include <stargate/error.hpp>

#include <catch2/catch.hpp>

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
