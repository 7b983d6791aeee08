// A broker that has forgotten a consumer whose connection stands.
#include "actors/receiver/dispatcher.hpp"
#include "actors/receiver/messages.hpp"
#include "actors/receiver/presence.hpp"
#include "actors/receiver/receiver.hpp"
#include "test/deterministic.hpp"
#include "test/fake_world.hpp"

#include <stargate/supervisor.hpp>

#include <catch2/catch.hpp>

using namespace stargate;
using namespace stargate::compat;
using namespace stargate::internal;
using namespace std::chrono_literals;

namespace {

/// A dispatcher of which the test plays the socket, the acknowledger and the broker's administration.
struct fixture : test::deterministic {
  std::shared_ptr<test::fake_world> world = std::make_shared<test::fake_world>(system());
  int asked = 0;
  caf::expected<std::string> stats = with("mine");
  std::string partitions = R"({"partitions":0})", partitioned_stats;
  tree_context_ptr tree = [this] {
    options o;
    o.idle_check = 10s;
    o.log = [](auto&&...) {};
    world->threads = false;
    world->rest = [this](std::string_view, const std::string& path) -> caf::expected<std::string> {
      if (path.ends_with("/partitions"))
        return partitions;
      if (path.find("/partitioned-stats") != std::string::npos)
        return partitioned_stats;
      ++asked;
      return stats;
    };
    auto context = std::make_shared<internal::tree_context>(system(), std::move(o), world);
    context->set_registry(registry::spawn(system(), "reg_test"));
    return context;
  }();
  consumer_options consumer{
    .topic = {.topic = "x"}, .subscription = "s", .handler = [](const received_message&) { return disposition::ack; }};
  caf::actor subject;
  caf::actor presence;

  static std::string with(const std::string& consumer) {
    return R"({"subscriptions":{"other":{"consumers":[]},"s":{"consumers":[{"x":1},{"consumerName":")" + consumer
           + R"("}]}}})";
  }

  void begin() {
    presence = spawn_presence(tree, me());
    run();
    REQUIRE(take<child_started>());
    const role_keys keys{role::consumer, consumer.topic, consumer.subscription};
    subject = spawn_dispatcher(tree, std::make_shared<const receiver>(keys, consumer, nullptr, nullptr, "mine"), me());
    run();
    REQUIRE(take<child_started>());
    post(subject, acknowledger_up{me()});
    post(subject, link_up{1, me()});
    run();
    REQUIRE(take<link_up>());
  }
  void pass(std::chrono::milliseconds time) {
    advance(time);
    run();
  }
  void bring() {
    post(subject, frames_in{1, {R"({"messageId":"CAo=","payload":""})"}});
    run();
  }
  ~fixture() {
    send_exit(subject, caf::exit_reason::kill);
    send_exit(presence, caf::exit_reason::kill);
    send_exit(tree->registry().actor(), caf::exit_reason::kill);
    run();
    subject = presence = nullptr;
  }
};

} // namespace

TEST_CASE_METHOD(fixture, "a broker that has lost an idle consumer twice in a row gets a new connection") {
  begin();
  stats = with("somebody else");
  pass(10s);
  CHECK(asked == 1);
  CHECK_FALSE(take<reset_connection>()); // its own client may be connecting again
  pass(2s);
  CHECK(asked == 2);
  const auto reset = take<reset_connection>();
  REQUIRE(reset);
  CHECK(reset->connection == 1);
  CHECK(code_of(reset->why) == errc::connection_lost);
  CHECK_THAT(describe(reset->why), Catch::Contains("public/default/x") && Catch::Contains("mine"));
}

TEST_CASE_METHOD(fixture, "an idle consumer that the broker has is left alone") {
  begin();
  pass(10s);
  CHECK(asked == 1);
  stats = with("somebody else");
  pass(10s);
  stats = with("mine");
  pass(2s);
  stats = with("somebody else");
  pass(10s);
  CHECK(asked == 4);
  CHECK_FALSE(take<reset_connection>());
}

TEST_CASE_METHOD(fixture, "a partitioned topic has its consumer on each of its partitions") {
  begin();
  stats = make_error(errc::not_found, "as the broker says of it");
  partitions = R"({"partitions":2})";
  const auto of = [](const std::string& first, const std::string& second) {
    return R"({"partitions":{"p0":)" + with(first) + R"(,"p1":)" + with(second) + "}}";
  };
  partitioned_stats = of("mine", "mine");
  pass(10s);
  partitioned_stats = of("mine", "somebody else");
  pass(10s);
  CHECK(asked == 2);
  CHECK_FALSE(take<reset_connection>());
  pass(2s);
  CHECK(asked == 3);
  CHECK(take<reset_connection>());
}

TEST_CASE_METHOD(fixture, "while messages come, nobody is asked") {
  begin();
  stats = with("somebody else");
  for (int i = 0; i < 10; ++i) {
    pass(9s);
    bring();
  }
  CHECK(asked == 0);
}

TEST_CASE_METHOD(fixture, "a topic that is gone, and a broker that gives no answer, change nothing") {
  begin();
  const auto code = GENERATE(errc::not_found, errc::forbidden, errc::connection_failed);
  stats = make_error(code, "no");
  for (int i = 0; i < 5; ++i)
    pass(10s);
  CHECK(asked == 5);
  CHECK_FALSE(take<reset_connection>());
  stats = with("somebody else"); // made again, without us
  pass(10s);
  pass(2s);
  CHECK(take<reset_connection>());
}

TEST_CASE_METHOD(fixture, "who drains, and who has left its subscription, is not missed") {
  begin();
  stats = with("somebody else");
  SECTION("drains") {
    post(subject, drain{me()});
  }
  SECTION("left") {
    post(subject, leave_subscription{std::make_shared<one_answer<bool>>([](auto) {})});
  }
  for (int i = 0; i < 5; ++i)
    pass(10s);
  CHECK(asked == 0);
}

TEST_CASE_METHOD(fixture, "what is known of who is idle outlives the actor that asks") {
  begin();
  stats = with("somebody else");
  pass(10s);
  CHECK(asked == 1);
  send_exit(presence, caf::exit_reason::kill);
  run();
  pass(1min);
  CHECK(asked == 1);
  presence = spawn_presence(tree, me());
  run();
  CHECK(asked == 2); // the second look was due
  CHECK(take<reset_connection>());
}

TEST_CASE_METHOD(fixture, "a connection that has ended is asked for no more, and the next one is") {
  begin();
  stats = with("somebody else");
  post(subject, link_down{1});
  run();
  pass(1min);
  CHECK(asked == 0);
  post(subject, link_up{2, me()});
  run();
  pass(10s);
  pass(2s);
  CHECK(asked == 2);
  const auto reset = take<reset_connection>();
  REQUIRE(reset);
  CHECK(reset->connection == 2);
}

TEST_CASE("the topics of a consumer are those that its options name") {
  const role_keys keys{role::consumer, {.topic = "x"}, "s"};
  consumer_options o{.subscription = "s"};
  o.topics_pattern = "public/default/x.*";
  CHECK(receiver{keys, o, nullptr}.topics.empty());
  o.topics_pattern = {};
  o.topics = {{.topic = "a"}, {.topic = "b"}};
  CHECK(receiver{keys, o, nullptr}.topics.size() == 2);
  o.topics.clear();
  o.topic = {.topic = "x"};
  CHECK(receiver{keys, o, nullptr}.topics == std::vector{o.topic});
}
