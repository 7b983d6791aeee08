#include "actors/producer_ack.hpp"
#include "test/actor_fixture.hpp"

#include <catch2/catch.hpp>

using namespace stargate;
using namespace stargate::internal;
using namespace std::chrono_literals;

namespace {

/// The acknowledger, between callers and a socket that the test plays.
struct fixture : test::actor_fixture {
  // Shared, since what the actor has not answered it answers as it goes, which is after this.
  std::shared_ptr<std::vector<caf::expected<message_id>>> box =
    std::make_shared<std::vector<caf::expected<message_id>>>();
  std::vector<caf::expected<message_id>>& answers = *box;

  fixture() {
    const pipeline_keys keys{role::producer, {.topic = "x"}, {}};
    watch(spawn_producer_ack(tree, keys, {.topic = keys.topic(), .send_timeout = 10s, .max_pending = 100}, nullptr, me()));
  }

  void produce(std::string payload) {
    publish p;
    p.items.push_back(
      std::make_shared<publication>(message{.payload = std::move(payload)},
                                    [to = box](caf::expected<message_id> a) { to->push_back(std::move(a)); }));
    post(subject, std::move(p));
  }
  void connect(std::uint64_t connection) {
    post(subject, handshake_wanted{connection, me()});
    REQUIRE(take<handshake>());
    post(subject, socket_up{connection, me()});
  }
  void broker_says(std::uint64_t connection, std::vector<std::string> frames) {
    post(subject, frames_in{connection, std::move(frames)});
    run();
  }
  std::vector<std::string> sent() {
    std::vector<std::string> result;
    if (auto t = take<transmit>())
      for (const auto& frame : t->frames)
        result.push_back(*frame);
    return result;
  }
};

const std::string ok0 = R"({"result":"ok","messageId":"A","context":"0"})";
const std::string ok1 = R"({"result":"ok","messageId":"B","context":"1"})";

} // namespace

TEST_CASE_METHOD(fixture, "what comes while there is no connection is sent when there is one") {
  produce("1");
  produce("2");
  CHECK(sent().empty());
  connect(1);
  CHECK(sent().size() == 2);
  broker_says(1, {ok0, ok1});
  CHECK(answers.size() == 2);
  CHECK(*answers[1] == message_id{"B"});
}

TEST_CASE_METHOD(fixture, "what comes in one turn goes out in one batch") {
  connect(1);
  run();
  for (int i = 0; i < 5; ++i)
    produce("x");
  CHECK(sent().size() == 5);
}

TEST_CASE_METHOD(fixture, "what was not receipted is sent again, in order, by the next connection") {
  connect(1);
  for (const auto* payload : {"1", "2", "3"})
    produce(payload);
  const auto first = sent();
  broker_says(1, {ok1});
  post(subject, socket_down{1});
  connect(2);
  CHECK(sent() == std::vector{first[0], first[2]});
  broker_says(1, {ok0}); // a late receipt of the connection that is gone says nothing about this one
  CHECK(answers.size() == 1);
}

TEST_CASE_METHOD(fixture, "a frame that is not JSON costs the connection, and no message") {
  connect(1);
  produce("1");
  const auto first = sent();
  broker_says(1, {"<html>"});
  const auto reset = take<reset_connection>();
  REQUIRE(reset);
  CHECK(reset->connection == 1);
  CHECK(logged.find("not a JSON object") != std::string::npos);
  CHECK(answers.empty());
  connect(2);
  CHECK(sent() == first);
  broker_says(2, {ok0});
  CHECK(answers.size() == 1);
  CHECK(answers[0]);
}

TEST_CASE_METHOD(fixture, "an error without a context costs the connection, and no message") {
  connect(1);
  produce("1");
  CHECK(sent().size() == 1);
  broker_says(1, {R"({"result":"send-error:3","errorMsg":"cannot parse","errorCode":0})"});
  CHECK(take<reset_connection>());
  CHECK(logged.find("cannot parse") != std::string::npos);
}

TEST_CASE_METHOD(fixture, "an error answers the very message it is for") {
  connect(1);
  produce("1");
  produce("2");
  CHECK(sent().size() == 2);
  broker_says(1, {R"({"result":"send-error:8","errorMsg":"full","context":"1","errorCode":0})", ok0});
  REQUIRE(answers.size() == 2);
  CHECK(code_of(answers[0].error()) == errc::rejected);
  CHECK(answers[1]);
}

TEST_CASE_METHOD(fixture, "time is up for what was sent, and for what was not") {
  connect(1);
  produce("1");
  CHECK(sent().size() == 1);
  post(subject, socket_down{1});
  advance(4s);
  produce("2");
  advance(6s);
  REQUIRE(answers.size() == 1);
  CHECK(code_of(answers[0].error()) == errc::outcome_unknown);
  advance(4s);
  REQUIRE(answers.size() == 2);
  CHECK(code_of(answers[1].error()) == errc::not_sent);
}

TEST_CASE_METHOD(fixture, "when it dies, everybody who waits is answered") {
  connect(1);
  produce("1");
  CHECK(sent().size() == 1);
  post(subject, socket_down{1});
  produce("2");
  run();
  produce("3"); // still in the mailbox
  send_exit(subject, caf::exit_reason::kill);
  run();
  REQUIRE(answers.size() == 3);
  std::vector<errc> codes;
  for (const auto& a : answers)
    codes.push_back(code_of(a.error()));
  std::sort(codes.begin(), codes.end());
  CHECK(codes == std::vector{errc::not_sent, errc::not_sent, errc::outcome_unknown});
}

TEST_CASE_METHOD(fixture, "it drains before it says so, and takes nothing new") {
  connect(1);
  produce("1");
  CHECK(sent().size() == 1);
  post(subject, drain{me()});
  produce("2");
  run();
  REQUIRE(answers.size() == 1);
  CHECK(code_of(answers[0].error()) == errc::stopping);
  CHECK_FALSE(take<drained>());
  broker_says(1, {ok0});
  CHECK(take<drained>());
}
