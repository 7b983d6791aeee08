#include "actors/receiver/dispatcher.hpp"
#include "libstargate/protocol/frames.hpp"
#include "test/actor_fixture.hpp"

#include <catch2/catch.hpp>

using namespace stargate;
using namespace stargate::compat;
using namespace stargate::internal;
using namespace std::chrono_literals;

namespace {

/// A dispatcher, between a socket, processors and an acknowledger that the test plays all.
struct fixture : test::actor_fixture {
  consumer_options o{
    .topic = {.topic = "x"}, .subscription = "s", .handler = [](const received_message&) { return disposition::ack; }};

  void begin() {
    const role_keys keys{role::consumer, o.topic, o.subscription};
    const auto nowhere = []() -> caf::expected<std::string> { return make_error(errc::not_sent, "no broker here"); };
    subject = spawn_dispatcher(tree, std::make_shared<const receiver>(keys, o, nowhere), me());
    self()->monitor(subject);
    run();
    REQUIRE(take<child_started>());
    post(subject, acknowledger_up{me()});
    connect(1);
  }
  void connect(std::uint64_t connection) {
    post(subject, link_up{connection, me(), link});
    run();
    REQUIRE(take<link_up>());
  }
  void ask_for(std::size_t count, std::size_t index = 0) {
    post(subject, ask{me(), count, index, nullptr});
    run();
  }
  void bring(std::uint64_t connection, std::vector<std::string> keys) {
    frames_in m{connection, {}};
    for (const auto& key : keys)
      m.frames.push_back(R"({"messageId":"CAo=","payload":"","key":")" + key + R"("})");
    post(subject, std::move(m));
    run();
  }
  std::size_t delivered() {
    const auto d = take<deliver>();
    return d ? d->messages.size() : 0;
  }
  std::string told() {
    const auto batch = sent();
    return batch.empty() ? "" : batch.front();
  }
};

} // namespace

TEST_CASE_METHOD(fixture, "in pull mode the broker may send what was asked for, and no more") {
  o.pull_mode = true;
  begin();
  CHECK(told().empty()); // nobody has asked
  ask_for(5);
  CHECK(told() == R"({"type":"permit","permitMessages":5})");
  bring(1, {"a", "b"});
  CHECK(delivered() == 2);
  CHECK(told().empty()); // three are still permitted and asked for
  ask_for(2);
  CHECK(told() == R"({"type":"permit","permitMessages":2})");
}

TEST_CASE_METHOD(fixture, "permits are given anew on a new connection") {
  o.pull_mode = true;
  begin();
  ask_for(5);
  CHECK(told() == R"({"type":"permit","permitMessages":5})");
  bring(1, {"a", "b"});
  CHECK(delivered() == 2);
  post(subject, link_down{1});
  connect(2);
  CHECK(told() == R"({"type":"permit","permitMessages":3})");
}

TEST_CASE_METHOD(fixture, "without pull mode no permit is sent") {
  begin();
  ask_for(5);
  CHECK(told().empty());
}

TEST_CASE_METHOD(fixture, "no processor gets more than it asked for") {
  begin();
  bring(1, {"a", "b", "c"});
  CHECK(delivered() == 0);
  ask_for(2);
  CHECK(delivered() == 2);
  ask_for(5);
  CHECK(delivered() == 1);
}

TEST_CASE_METHOD(fixture, "with partition_by_key, a message waits for the processor of its key") {
  o.partition_by_key = true;
  o.processors = 2;
  begin();
  ask_for(10, 0); // the test is processor 0
  std::vector<std::string> keys;
  for (int i = 0; i < 10; ++i)
    keys.push_back("key " + std::to_string(i));
  bring(1, keys);
  const auto first = take<deliver>();
  REQUIRE(first);
  CHECK(first->messages.size() < 10);
  CHECK_FALSE(first->messages.empty());
  for (const auto& m : first->messages)
    CHECK(std::hash<std::string>{}(*protocol::key_of(m.frame)) % 2 == 0);
}

TEST_CASE_METHOD(fixture, "the question about the topic's end is answered once, and asked again after a reconnect") {
  begin();
  std::vector<bool> answers;
  post(subject, ask_end_of_topic{std::make_shared<one_answer<bool>>([&](caf::expected<bool> a) {
         if (a)
           answers.push_back(*a);
       })});
  run();
  CHECK(told() == R"({"type":"isEndOfTopic"})");
  post(subject, link_down{1});
  connect(2);
  CHECK(told() == R"({"type":"isEndOfTopic"})");
  post(subject, frames_in{2, {R"({"endOfTopic":true})"}});
  run();
  CHECK(answers == std::vector<bool>{true});
  post(subject, frames_in{2, {R"({"endOfTopic":true})"}}); // nobody asked
  run();
  CHECK(answers.size() == 1);
}

TEST_CASE_METHOD(fixture, "whoever waits for an answer is told when the dispatcher ends") {
  begin();
  caf::error answer;
  post(subject, ask_end_of_topic{std::make_shared<one_answer<bool>>([&](caf::expected<bool> a) {
         if (!a)
           answer = a.error();
       })});
  run();
  send_exit(subject, caf::exit_reason::kill);
  run();
  CHECK(code_of(answer) == errc::stopping);
}

TEST_CASE_METHOD(fixture, "leaving a subscription stops what is given out") {
  begin();
  bool left = false;
  post(subject, leave_subscription{std::make_shared<one_answer<bool>>([&](caf::expected<bool> a) { left = a && *a; })});
  run();
  CHECK(told() == R"({"type":"unsubscribe"})");
  CHECK(left);
  ask_for(5);
  bring(1, {"a"});
  CHECK(delivered() == 0);
}

TEST_CASE_METHOD(fixture, "in pull mode what handlers keep is bounded as in push mode") {
  o.pull_mode = true;
  o.receiver_queue_size = 3;
  o.max_demand = 2;
  o.min_demand = 1;
  begin();
  std::size_t permitted = 0;
  for (int i = 0; i < 10; ++i) { // whatever comes is kept, and more is asked for
    ask_for(2);
    const auto frame = told();
    if (frame.empty())
      break;
    const auto count = static_cast<std::size_t>(frame.at(frame.size() - 2) - '0');
    permitted += count;
    bring(1, std::vector<std::string>(count, "k"));
    CHECK(delivered() == count);
  }
  CHECK(permitted == 5); // the queue's size, and what processors may have in hand
  post(subject, settled_count{1, 2});
  CHECK(told() == R"({"type":"permit","permitMessages":2})");
}
