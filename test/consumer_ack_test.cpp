#include "actors/receiver/consumer_ack.hpp"
#include "test/actor_fixture.hpp"

#include <catch2/catch.hpp>

using namespace stargate;
using namespace stargate::compat;
using namespace stargate::internal;

namespace {

/// The acknowledger, between processors, a dispatcher and a socket that the test plays all.
struct fixture : test::actor_fixture {
  std::shared_ptr<std::string> position = std::make_shared<std::string>("earliest");
  std::chrono::milliseconds ack_timeout{0};

  void begin(role r) {
    const reader_options o{.topic = {.topic = "x"}};
    const role_keys keys{r, o.topic, r == role::reader ? "" : "s"};
    play(keys.dispatcher());
    auto p = r == role::reader ? std::make_shared<receiver>(keys, o, nullptr, position)
                               : std::make_shared<receiver>(keys, o, nullptr);
    p->ack_timeout = ack_timeout;
    watch(spawn_consumer_ack(tree, p, me()));
    REQUIRE(take<acknowledger_up>());
    post(subject, link_up{1, me(), link});
  }
  void settle_one(std::uint64_t connection, std::uint64_t sequence, disposition what = disposition::ack) {
    post(subject, settle{connection, {{sequence, {"id" + std::to_string(sequence)}, what}}});
  }
};

using list = std::vector<std::string>;

} // namespace

TEST_CASE_METHOD(fixture, "acknowledgements gather and go out together") {
  begin(role::consumer);
  settle_one(1, 1);
  settle_one(1, 2, disposition::nack);
  CHECK(sent() == list{R"({"messageId":"id1"})", R"({"type":"negativeAcknowledge","messageId":"id2"})"});
}

TEST_CASE_METHOD(fixture, "an acknowledgement goes out by the connection that brought the message, or not at all") {
  begin(role::consumer);
  post(subject, link_down{1});
  settle_one(1, 1);
  post(subject, link_up{2, me(), link});
  settle_one(1, 2);
  CHECK(sent().empty());
  settle_one(2, 1);
  CHECK(sent().size() == 1);
}

TEST_CASE_METHOD(fixture, "a reader's position is behind the last message up to which all were acknowledged") {
  begin(role::reader);
  settle_one(1, 2);
  run();
  CHECK(*position == "earliest");
  settle_one(1, 1);
  run();
  CHECK(*position == "id2");
  post(subject, link_down{1});
  post(subject, link_up{2, me(), link});
  settle_one(1, 3); // a straggler of the old connection, whose numbers mean nothing now
  run();
  CHECK(*position == "id2");
}

TEST_CASE_METHOD(fixture, "a reader cannot ask for a message again: its place in the queue is freed") {
  begin(role::reader);
  settle_one(1, 1, disposition::nack);
  CHECK(sent() == list{R"({"messageId":"id1"})"});
}

TEST_CASE_METHOD(fixture, "asked to end, it waits for the processors and sends what they settled") {
  begin(role::consumer);
  run();
  send_exit(subject, make_error(exit_code::shutdown, "stop"));
  REQUIRE(take<drain>());
  settle_one(1, 1);
  post(subject, drained{me()});
  CHECK(sent().size() == 1);
  CHECK(is_normal_exit(end()));
}

TEST_CASE_METHOD(fixture, "cumulative acknowledgement goes out for everything up to there, together") {
  begin(role::consumer);
  for (const std::uint64_t sequence : {1, 2, 3, 5})
    settle_one(1, sequence, disposition::continue_);
  settle_one(1, 4, disposition::nack);
  CHECK(sent().size() == 1); // the one that was refused
  post(subject, settle_up_to{1, 4});
  CHECK(sent() == list{R"({"messageId":"id1"})", R"({"messageId":"id2"})", R"({"messageId":"id3"})"});
  post(subject, settle_up_to{1, 4});
  CHECK(sent().empty());
}

TEST_CASE_METHOD(fixture, "what a handler still had in hand is acknowledged when it has said continue_") {
  begin(role::consumer);
  post(subject, settle_up_to{1, 2});
  settle_one(1, 2, disposition::continue_);
  settle_one(1, 3, disposition::continue_);
  CHECK(sent() == list{R"({"messageId":"id2"})"});
  post(subject, link_down{1});
  post(subject, link_up{2, me(), link});
  settle_one(2, 1, disposition::continue_); // counts anew
  CHECK(sent().empty());
}

TEST_CASE_METHOD(fixture, "what is kept beyond ack_timeout is refused, but not what the tree itself is to settle") {
  ack_timeout = std::chrono::seconds{1};
  begin(role::consumer);
  post(subject, will_settle{1, 2});
  settle_one(1, 1, disposition::continue_);
  settle_one(1, 2, disposition::continue_);
  advance(std::chrono::seconds{2});
  CHECK(sent().empty());
  advance(std::chrono::seconds{2});
  CHECK(sent() == list{R"({"type":"negativeAcknowledge","messageId":"id1"})"});
  advance(std::chrono::seconds{60});
  settle_one(1, 2);
  CHECK(sent() == list{R"({"messageId":"id2"})"});
}

TEST_CASE_METHOD(fixture, "a cumulative acknowledgement leaves out what the tree itself is to settle") {
  begin(role::consumer);
  post(subject, will_settle{1, 2});
  const bool kept_before = GENERATE(true, false);
  settle_one(1, 1, disposition::continue_);
  if (kept_before)
    settle_one(1, 2, disposition::continue_);
  settle_one(1, 3, disposition::continue_);
  post(subject, settle_up_to{1, 3});
  if (!kept_before)
    settle_one(1, 2, disposition::continue_);
  CHECK(sent() == list{R"({"messageId":"id1"})", R"({"messageId":"id3"})"});
  settle_one(1, 2);
  CHECK(sent() == list{R"({"messageId":"id2"})"});
}

TEST_CASE_METHOD(fixture, "an acknowledgement settles a message, also when it overtakes the handler's continue_") {
  begin(role::consumer);
  settle_one(1, 1); // from whoever keeps it
  settle_one(1, 1, disposition::continue_);
  CHECK(sent() == list{R"({"messageId":"id1"})"});
  const auto how = answer_of<vitals>(subject, report_vitals{});
  REQUIRE(how);
  CHECK(how->in_flight == 0);
  settle_one(1, 1);
  CHECK(sent().empty());
}

TEST_CASE_METHOD(fixture, "the first message that is handled is progress") {
  begin(role::consumer);
  settle_one(1, 1, disposition::nack);
  run();
  CHECK_FALSE(take<progress>());
  settle_one(1, 2);
  CHECK(take<progress>());
  settle_one(1, 3);
  CHECK_FALSE(take<progress>());
}

TEST_CASE_METHOD(fixture, "who drains waits for what the tree itself will settle, on this connection") {
  begin(role::consumer);
  for (const auto sequence : {1, 2, 3})
    post(subject, will_settle{1, static_cast<std::uint64_t>(sequence)});
  settle_one(1, 1, disposition::continue_);
  settle_one(1, 3);
  post(subject, will_settle{1, 3}); // too late: it is settled
  CHECK(sent() == list{R"({"messageId":"id3"})"});
  send_exit(subject, make_error(exit_code::shutdown, "stop"));
  run();
  REQUIRE(take<drain>());
  post(subject, drained{me()});
  run();
  CHECK_FALSE(take<caf::down_msg>());
  settle_one(1, 1);
  CHECK_FALSE(take<caf::down_msg>());
  settle_one(1, 2, disposition::nack);
  CHECK(is_normal_exit(end()));
}

TEST_CASE_METHOD(fixture, "who drains does not wait for what a lost connection has brought") {
  begin(role::consumer);
  post(subject, will_settle{1, 1});
  send_exit(subject, make_error(exit_code::shutdown, "stop"));
  run();
  REQUIRE(take<drain>());
  post(subject, drained{me()});
  post(subject, link_down{1});
  run();
  CHECK(is_normal_exit(end()));
}
