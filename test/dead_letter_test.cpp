#include "actors/receiver/dead_letter.hpp"
#include "test/actor_fixture.hpp"
#include "test/fake_world.hpp"

#include <catch2/catch.hpp>

using namespace stargate;
using namespace stargate::compat;
using namespace stargate::internal;
using namespace std::chrono_literals;

namespace {

/// A burial, between the message's acknowledger, the dead letters' producer and a broker that the test plays.
struct fixture : test::deterministic {
  std::shared_ptr<test::fake_world> world = std::make_shared<test::fake_world>(system());
  std::string logged;
  tree_context_ptr tree = [this] {
    options o;
    o.log = [this](log_level, std::string_view, std::string_view text) { logged.append(text).append("\n"); };
    world->threads = false;
    auto context = std::make_shared<internal::tree_context>(system(), std::move(o), world);
    context->set_registry(registry::spawn(system(), "reg_test"));
    return context;
  }();
  const consumer_options description{.topic = {.topic = "x"},
                                     .subscription = "s",
                                     .dead_letter_topic = "public/default/dead",
                                     .handler = [](const received_message&) { return disposition::ack; },
                                     .on_failure = failure_action::dead_letter};

  fixture() {
    const role_keys dead{role::producer, {.topic = "dead"}, {}};
    REQUIRE(answer_of<registered>(tree->registry().actor(), register_name{dead.acknowledger(), me()}));
    const role_keys keys{role::consumer, description.topic, description.subscription};
    received_message m;
    m.id.value = "id1";
    m.payload = "content";
    m.sequence = 1;
    m.origin =
      std::make_shared<const delivery>(delivery{me(), 7, std::make_shared<const topic_name>(description.topic)});
    bury(tree, std::make_shared<const receiver>(keys, description, nullptr), m, "why");
    run();
    REQUIRE(world->count() == 1);
  }
  ~fixture() {
    send_exit(tree->registry().actor(), caf::exit_reason::kill);
    run();
  }

  void refuse(int status) {
    world->last()->who->on_end({connection::end::refused, status, {}});
    run();
  }
  disposition settled() {
    const auto s = take<settle>();
    REQUIRE(s);
    REQUIRE(s->messages.size() == 1);
    return s->messages.front().what;
  }
};

} // namespace

TEST_CASE_METHOD(fixture, "a message is buried where a subscription keeps it, and acknowledged when it is stored") {
  CHECK(world->last()->to.path.find("/public/default/dead/dead-letters") != std::string::npos);
  CHECK_FALSE(take<publications>());
  world->last()->who->on_open();
  run();
  auto given = take<publications>();
  REQUIRE(given);
  REQUIRE(given->items.size() == 1);
  CHECK_FALSE(take<settle>());
  given->items.front()->answer(message_id{"stored"});
  run();
  CHECK(settled() == disposition::ack);
}

TEST_CASE_METHOD(fixture, "a conflict is believed when the broker has the subscription, and else nothing is buried") {
  const bool there = GENERATE(true, false);
  world->rest = [&](std::string_view, const std::string& path) -> caf::expected<std::string> {
    CHECK(path.find("/public/default/dead/subscriptions") != std::string::npos);
    return std::string{there ? R"(["other","dead-letters"])" : R"(["other"])"};
  };
  refuse(409);
  if (there) {
    CHECK(take<publications>());
    return;
  }
  CHECK_FALSE(take<publications>());
  CHECK(settled() == disposition::nack);
  CHECK(logged.find("does the topic have a schema?") != std::string::npos);
}

TEST_CASE_METHOD(fixture, "nothing is buried where nobody can tell whether it is kept") {
  world->rest = [](std::string_view, const std::string&) -> caf::expected<std::string> {
    return make_error(errc::forbidden, "not for you");
  };
  refuse(GENERATE(409, 403));
  CHECK_FALSE(take<publications>());
  CHECK(settled() == disposition::nack);
  CHECK(logged.find("no subscription 'dead-letters' could be made") != std::string::npos);
}
