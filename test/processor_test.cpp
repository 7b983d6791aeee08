#include "libstargate/protocol/frames.hpp"
#include "test/processor_fixture.hpp"

#include <catch2/catch.hpp>

using namespace stargate;
using namespace stargate::compat;
using namespace stargate::internal;

namespace {

struct fixture : test::processor_fixture {
  std::vector<std::string> handled;

  handler_factory noting(disposition what = disposition::ack) {
    return [this, what](const received_message& m) {
      handled.push_back(m.payload);
      return what;
    };
  }
};

} // namespace

TEST_CASE_METHOD(fixture, "it asks for max_demand, and again when min_demand is left") {
  begin(noting());
  CHECK(asked() == 4);
  give({raw(1, "YQ==")});
  CHECK(take<settle>());
  CHECK(asked() == 0); // three are owed
  give({raw(2, "Yg==")});
  CHECK(take<settle>());
  CHECK(asked() == 2);
  CHECK(handled == std::vector<std::string>{"a", "b"});
}

TEST_CASE_METHOD(fixture, "what was acknowledged in one turn goes out together") {
  begin(noting());
  CHECK(asked() == 4);
  give({raw(1, "YQ=="), raw(2, "Yg=="), raw(3, "Yw==")});
  const auto settled = take<settle>();
  REQUIRE(settled);
  CHECK(settled->connection == 7);
  REQUIRE(settled->messages.size() == 3);
  CHECK(settled->messages[2].id.value == "id3");
  CHECK(settled->messages[2].sequence == 3);
}

TEST_CASE_METHOD(fixture, "a message that is too large is named, kept for later, and not handled") {
  begin(noting());
  CHECK(asked() == 4);
  give({{1, *protocol::stand_in_for_oversized(R"({"messageId":"idx","payload":"aaaa)", 20'000'000)}, raw(2, "Yg==")});
  const auto settled = take<settle>();
  REQUIRE(settled);
  REQUIRE(settled->messages.size() == 2);
  CHECK(settled->messages[0].id.value == "idx");
  CHECK(settled->messages[0].what == disposition::continue_);
  CHECK(handled == std::vector<std::string>{"b"});
  CHECK(asked() == 2); // it is owed no longer
  CHECK(logged.find("message idx of persistent://public/default/x comes in 20000000 bytes") != std::string::npos);
  CHECK(logged.find("max_frame_size (8388608)") != std::string::npos);
}

TEST_CASE_METHOD(fixture, "continue_ leaves it open, until the message is acknowledged from outside") {
  std::optional<received_message> kept;
  begin([&](const received_message& m) {
    kept = m;
    return disposition::continue_;
  });
  CHECK(asked() == 4);
  give({raw(1, "YQ==")});
  const auto undecided = take<settle>();
  REQUIRE(undecided);
  CHECK(undecided->messages[0].what == disposition::continue_);
  REQUIRE(kept);
  CHECK(kept->topic() == topic_name{.topic = "x"});
  kept->negative_acknowledge();
  const auto settled = take<settle>();
  REQUIRE(settled);
  CHECK(settled->messages[0].what == disposition::nack);
}

TEST_CASE_METHOD(fixture, "a handler that throws ends the processor; what was done before is acknowledged") {
  begin([](const received_message& m) -> disposition {
    if (m.payload == "b")
      throw std::runtime_error{"cannot do b"};
    return disposition::ack;
  });
  CHECK(asked() == 4);
  give({raw(1, "YQ=="), raw(2, "Yg=="), raw(3, "Yw==")});
  const auto settled = take<settle>();
  REQUIRE(settled);
  CHECK(settled->messages.size() == 1);
  const auto why = end();
  CHECK(code_of(why) == errc::handler_failed);
  CHECK(describe(why).find("cannot do b") != std::string::npos);
}

TEST_CASE_METHOD(fixture, "a frame that is not JSON ends the processor and acknowledges nothing") {
  begin(noting());
  CHECK(asked() == 4);
  give({{1, "no JSON, but a secret"}});
  CHECK_FALSE(take<settle>());
  const auto why = end();
  CHECK(code_of(why) == errc::protocol_violation);
  CHECK(describe(why).find("persistent://public/default/x") != std::string::npos);
  CHECK(describe(why).find("secret") == std::string::npos);
}

TEST_CASE_METHOD(fixture, "what a lost connection brought is not handled any more") {
  begin(noting());
  CHECK(asked() == 4);
  post(subject, deliver{origin, {raw(1, "YQ=="), raw(2, "Yg=="), raw(3, "Yw==")}});
  post(subject, link_down{7});
  run();
  CHECK(handled.empty());
  CHECK(asked() == 3); // what was dropped is asked for again
}

TEST_CASE_METHOD(fixture, "it drains between two messages") {
  begin(noting());
  CHECK(asked() == 4);
  post(subject, deliver{origin, {raw(1, "YQ==")}});
  post(subject, drain{me()});
  run();
  CHECK(take<drained>());
  CHECK(handled.empty());
}

TEST_CASE_METHOD(fixture, "an init that throws is a start that fails") {
  const role_keys keys{role::consumer, {.topic = "x"}, "s"};
  consumer_options o{.topic = keys.topic(), .subscription = "s", .run_on = run_on::scheduler};
  o.handler = []() -> std::unique_ptr<message_handler> { throw std::runtime_error{"no database"}; };
  play(keys.dispatcher());
  subject = spawn_processor(tree, std::make_shared<const receiver>(keys, o, nullptr), 0, me());
  self()->monitor(subject);
  CHECK_FALSE(take<child_started>());
  CHECK(describe(end()).find("no database") != std::string::npos);
}

TEST_CASE_METHOD(fixture,
                 "with on_failure nack, a message whose handler throws is handed back, and the next is handled") {
  begin(
    [this](const received_message& m) {
      if (m.payload == "b")
        throw std::runtime_error{"cannot do b"};
      handled.push_back(m.payload);
      return disposition::ack;
    },
    4, 2, [](consumer_options& o) { o.on_failure = failure_action::nack; });
  CHECK(asked() == 4);
  give({raw(1, "YQ=="), raw(2, "Yg=="), raw(3, "Yw==")});
  const auto settled = take<settle>();
  REQUIRE(settled);
  REQUIRE(settled->messages.size() == 3);
  CHECK(settled->messages[1].what == disposition::nack);
  CHECK(settled->messages[2].what == disposition::ack);
  CHECK(handled == std::vector<std::string>{"a", "c"});
  CHECK(logged.find("cannot do b") != std::string::npos);
}

TEST_CASE_METHOD(fixture, "a batch is handled when it is full, or when its time is over") {
  std::vector<std::size_t> sizes;
  begin(
    [&](std::span<const received_message> batch) {
      sizes.push_back(batch.size());
      return std::vector<disposition>(batch.size(), disposition::ack);
    },
    10, 5,
    [](consumer_options& o) {
      o.batch_size = 3;
      o.batch_delay = std::chrono::milliseconds{200};
    });
  CHECK(asked() == 10);
  give({raw(1, "YQ=="), raw(2, "Yg=="), raw(3, "Yw=="), raw(4, "ZA==")});
  CHECK(sizes == std::vector<std::size_t>{3});
  CHECK(take<settle>()->messages.size() == 3);
  advance(std::chrono::milliseconds{199});
  CHECK(sizes.size() == 1);
  advance(std::chrono::milliseconds{2});
  CHECK(sizes == std::vector<std::size_t>{3, 1});
  CHECK(take<settle>()->messages.size() == 1);
}

TEST_CASE_METHOD(fixture, "a batch of a lost connection is forgotten") {
  std::size_t seen = 0;
  begin(
    [&](std::span<const received_message> batch) {
      seen += batch.size();
      return std::vector<disposition>(batch.size(), disposition::ack);
    },
    10, 5, [](consumer_options& o) { o.batch_size = 3; });
  CHECK(asked() == 10);
  give({raw(1, "YQ=="), raw(2, "Yg==")});
  post(subject, link_down{7});
  advance(std::chrono::seconds{1});
  CHECK(seen == 0);
}

TEST_CASE_METHOD(fixture, "a batch handler that answers for too few fails") {
  begin([](std::span<const received_message>) { return std::vector<disposition>{}; }, 10, 5,
        [](consumer_options& o) { o.batch_size = 2; });
  CHECK(asked() == 10);
  give({raw(1, "YQ=="), raw(2, "Yg==")});
  CHECK(describe(end()).find("0 answers for 2 messages") != std::string::npos);
}

namespace {

/// Takes the payload out of each message, and then fails where it is "b".
disposition take_payload(std::vector<std::string>& into, received_message&& m) {
  into.push_back(std::exchange(m.payload, {}));
  m.id = {};
  if (into.back() == "b")
    throw std::runtime_error{"cannot do b"};
  return disposition::ack;
}

} // namespace

TEST_CASE_METHOD(fixture, "a handler may move from its message, and what came is settled") {
  const auto timeout = GENERATE(0, 1000);
  begin([this](received_message&& m) { return take_payload(handled, std::move(m)); }, 4, 2,
        [&](consumer_options& o) {
          o.handler_timeout = std::chrono::milliseconds{timeout};
          o.on_failure = failure_action::nack;
        });
  CHECK(asked() == 4);
  give({raw(1, "YQ=="), raw(2, "Yg=="), raw(3, "Yw==")});
  const auto settled = take<settle>();
  REQUIRE(settled);
  REQUIRE(settled->messages.size() == 3);
  for (std::size_t i = 0; i < 3; ++i) {
    CHECK(settled->messages[i].id.value == "id" + std::to_string(i + 1));
    CHECK(settled->messages[i].what == (i == 1 ? disposition::nack : disposition::ack));
  }
  CHECK(handled == std::vector<std::string>{"a", "b", "c"});
}

TEST_CASE_METHOD(fixture, "what a handler has taken is whole on the dead-letter topic, one by one and in batches") {
  const std::size_t batch = GENERATE(1, 2);
  const auto timeout = GENERATE(0, 1000);
  const role_keys dead{role::producer, {.topic = "dead"}, {}};
  play(dead.acknowledger());
  begin([this](received_message&& m) { return take_payload(handled, std::move(m)); }, 4, 2,
        [&](consumer_options& o) {
          o.handler_timeout = std::chrono::milliseconds{timeout};
          o.on_failure = failure_action::dead_letter;
          o.dead_letter_topic = "public/default/dead";
          o.dead_letter_subscription = "";
          o.batch_size = batch;
        });
  CHECK(asked() == 4);
  give({raw(1, "YQ=="), raw(2, "Yg==")});
  std::vector<std::string> buried;
  while (auto given = take<publications>())
    for (const auto& item : given->items)
      buried.push_back(item->take_content().payload);
  CHECK(buried == (batch == 1 ? std::vector<std::string>{"b"} : std::vector<std::string>{"a", "b"}));
}
