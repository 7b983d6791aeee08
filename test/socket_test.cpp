#include "actors/socket/socket.hpp"
#include "test/actor_fixture.hpp"
#include "test/fake_world.hpp"

#include <catch2/catch.hpp>

#include <random>
#include <string>

using namespace stargate;
using namespace stargate::compat;
using namespace stargate::internal;
using namespace std::chrono_literals;

namespace {

/// A producer's socket, between an acknowledger and a network that the test plays both.
struct fixture : test::deterministic {
  std::shared_ptr<test::fake_world> world = std::make_shared<test::fake_world>(system());
  tree_context_ptr tree = [this] {
    options o;
    o.log = [](log_level, std::string_view, std::string_view) {};
    o.backoff = {.first = 100ms, .most = 30s, .stable = 10s};
    auto context = std::make_shared<internal::tree_context>(system(), std::move(o), world);
    context->set_registry(registry::spawn(system(), "reg_test"));
    return context;
  }();
  const role_keys keys{role::producer, {.topic = "x"}, {}};
  caf::actor socket;

  fixture() {
    REQUIRE(answer_of<registered>(tree->registry().actor(), register_name{keys.acknowledger(), me()}));
    socket = spawn_socket(tree, {std::make_shared<const role_keys>(keys), me(), false}, me());
    self()->monitor(socket);
    run();
    REQUIRE(take<child_started>());
  }
  ~fixture() {
    send_exit(socket, caf::exit_reason::kill);
    send_exit(tree->registry().actor(), caf::exit_reason::kill);
    run();
    socket = nullptr;
  }

  /// Answers the socket's question with a path; gives the number of the connection.
  std::uint64_t answer(const std::string& path) {
    const auto wanted = take<handshake_wanted>();
    REQUIRE(wanted);
    REQUIRE(wanted->socket == socket);
    post(socket, handshake{wanted->connection, path});
    run();
    return wanted->connection;
  }
  /// What the owner is told next of its connection.
  std::string told() {
    std::string result;
    self()->receive([&](const link_up&) { result = "up"; }, [&](const frames_in& m) { result = m.frames.at(0); },
                    [&](const link_down&) { result = "down"; }, caf::after(0ms) >> [] {});
    return result;
  }
  void lose() {
    world->last()->who->on_end({connection::end::lost, 0, "test"});
    run();
  }
};

} // namespace

TEST_CASE_METHOD(fixture, "a socket asks its owner before each attempt how the handshake goes") {
  answer("/first");
  REQUIRE(world->count() == 1);
  CHECK(world->last()->to.path == "/first");
  lose();
  advance(100ms);
  answer("/second");
  REQUIRE(world->count() == 2);
  CHECK(world->last()->to.path == "/second");
}

TEST_CASE_METHOD(fixture, "what is lost is counted by its reason, and so is an attempt that comes to nothing") {
  const auto lost = [this] { return tree->metrics.of(keys.socket())->disconnects.values(); };
  using counts = std::map<errc, std::uint64_t>;
  answer("/");
  world->last()->who->on_open();
  run();
  CHECK(lost().empty());
  lose();
  CHECK(lost() == counts{{errc::connection_lost, 1}});
  advance(100ms);
  answer("/");
  world->last()->who->on_end({connection::end::refused, 409, ""});
  run();
  CHECK(lost() == counts{{errc::connection_lost, 1}, {errc::conflict, 1}});
  advance(5s);
  const auto wanted = take<handshake_wanted>();
  REQUIRE(wanted);
  post(socket, handshake{wanted->connection, make_error(errc::no_token, "the file is not there")});
  run();
  advance(10s);
  const auto number = answer("/");
  world->last()->who->on_open();
  run();
  post(socket, reset_connection{number, make_error(errc::protocol_violation, "a frame that is none")});
  run();
  CHECK(lost()
        == counts{{errc::connection_lost, 1}, {errc::conflict, 1}, {errc::no_token, 1}, {errc::protocol_violation, 1}});
}

TEST_CASE_METHOD(fixture, "each refusal is counted, that of which the socket ends as well") {
  for (int i = 0; i < 3; ++i) {
    answer("/");
    world->last()->who->on_end({connection::end::refused, 401, ""});
    advance(30s);
  }
  const auto down = take<caf::down_msg>();
  REQUIRE(down);
  CHECK(code_of(down->reason) == errc::unauthorized);
  CHECK(tree->metrics.of(keys.socket())->disconnects.values()
        == std::map<errc, std::uint64_t>{{errc::unauthorized, 3}});
}

TEST_CASE_METHOD(fixture, "progress ends a backoff, and a connection that only stands does not") {
  auto wait = 100ms;
  for (int i = 0; i < 4; ++i, wait *= 2) { // a peer that accepts and cuts at once is backed off from
    answer("/");
    world->last()->who->on_open();
    run();
    lose();
    CHECK_FALSE(take<handshake_wanted>());
    advance(wait - 1ms);
    CHECK_FALSE(take<handshake_wanted>());
    advance(1ms);
  }
  const auto number = answer("/");
  world->last()->who->on_open();
  run();
  post(socket, progress{number});
  run();
  lose();
  advance(100ms);
  CHECK(take<handshake_wanted>());
}

TEST_CASE_METHOD(fixture, "what an owner says of an earlier attempt is not heard") {
  const auto wanted = take<handshake_wanted>();
  REQUIRE(wanted);
  post(socket, handshake{wanted->connection + 7, std::string{"/other"}});
  run();
  CHECK(world->count() == 0);
  post(socket, handshake{wanted->connection, std::string{"/this"}});
  post(socket, handshake{wanted->connection, std::string{"/again"}});
  run();
  CHECK(world->count() == 1);
}

TEST_CASE_METHOD(fixture, "asked to end, a producer's socket has its owner drain, and closes then") {
  answer("/");
  world->last()->who->on_open();
  run();
  send_exit(socket, make_error(exit_code::shutdown, "test"));
  run();
  CHECK(take<drain>());
  CHECK_FALSE(world->last()->closed);
  post(socket, drained{me()});
  run();
  CHECK(world->last()->closed);
  const auto down = take<caf::down_msg>();
  REQUIRE(down);
  CHECK(is_normal_exit(down->reason));
}

TEST_CASE_METHOD(fixture, "what the broker says it will not take is tried once, and ends the pipeline as a shutdown") {
  answer("/");
  connection::ended refused{connection::end::refused, 500, "Topic was already terminated"};
  world->last()->who->on_end(refused);
  run();
  const auto asked = take<caf::exit_msg>();
  REQUIRE(asked);
  CHECK(asked->reason == exit_code::shutdown);
  CHECK(describe(asked->reason).find("already terminated") != std::string::npos);
  CHECK(describe(tree->why_gone(keys.supervisor())).find("already terminated") != std::string::npos);
  CHECK(tree->board.all().at(keys.socket()).phase == socket_phase::refused);
  advance(1h);
  CHECK_FALSE(take<handshake_wanted>());
  CHECK_FALSE(take<caf::down_msg>()); // it waits to be ended with the others
  send_exit(socket, make_error(exit_code::shutdown, "test"));
  run();
  CHECK_FALSE(take<drain>());
  CHECK(take<caf::down_msg>());
}

TEST_CASE_METHOD(fixture, "what only looks like configuration is tried three times, and is then a crash") {
  for (int i = 0; i < 3; ++i) {
    CHECK_FALSE(take<caf::down_msg>());
    answer("/");
    world->last()->who->on_end({connection::end::refused, 404, "Topic not found"});
    run();
    advance(10s);
  }
  CHECK_FALSE(take<caf::exit_msg>());
  const auto down = take<caf::down_msg>();
  REQUIRE(down);
  CHECK(code_of(down->reason) == errc::not_found);
}

TEST_CASE_METHOD(fixture, "what the broker took once it may take again, unless the topic was terminated") {
  answer("/");
  world->last()->who->on_open();
  run();
  lose();
  for (int i = 0; i < 5; ++i) {
    advance(1min);
    answer("/");
    world->last()->who->on_end({connection::end::refused, 409, "IncompatibleSchemaException"});
    run();
  }
  CHECK_FALSE(take<caf::exit_msg>());
  advance(1min);
  answer("/");
  world->last()->who->on_end({connection::end::refused, 503, "Topic was already terminated"});
  run();
  CHECK(take<caf::exit_msg>());
  CHECK_FALSE(take<caf::down_msg>());
}

TEST_CASE_METHOD(fixture,
                 "what a connection brings comes to the owner in order, and past the socket once that is at rest") {
  std::mt19937 chance;
  for (int round = 0; round < 300; ++round) {
    answer("/");
    auto& network = *world->last()->who;
    network.on_open();
    int next = 0;
    const auto bring = [&] {
      network.on_frames({std::to_string(next++)}, chance() % 2 == 0 ? connection::load::idle : connection::load::busy);
    };
    for (auto deeds = chance() % 20; deeds > 0; --deeds)
      if (chance() % 2 == 0)
        bring();
      else
        run_only(socket);
    run();
    bring();
    CHECK_FALSE(run_only(socket));
    lose();
    REQUIRE(told() == "up");
    for (int i = 0; i < next; ++i)
      REQUIRE(told() == std::to_string(i));
    REQUIRE(told() == "down");
    advance(30s);
  }
}
