#include "actors/shared/socket_board.hpp"
#include "test/deterministic.hpp"

#include <catch2/catch.hpp>

#include <thread>

using namespace stargate;
using namespace std::chrono_literals;
using internal::socket_board, internal::socket_phase;

namespace {

constexpr caf::actor_id first = 7, second = 8;
const std::string key = "producer/persistent/public/default/orders";

struct fixture : test::deterministic {
  std::shared_ptr<internal::environment> world = internal::real_environment(system());
  socket_board board;

  caf::error wait(std::chrono::milliseconds time) {
    return board.wait_connected(*world, std::chrono::steady_clock::now() + time);
  }
};

} // namespace

TEST_CASE_METHOD(fixture, "who waits for sockets is told when all are connected, and which are not") {
  CHECK_FALSE(wait(0ms)); // nothing is expected
  board.expect(key);
  board.expect("other");
  const auto nothing_yet = wait(0ms);
  CHECK(code_of(nothing_yet) == errc::timed_out);
  CHECK(describe(nothing_yet).find(key + " is connecting") != std::string::npos);
  board.set(key, first, socket_phase::connected);
  const auto one_missing = describe(wait(0ms));
  CHECK(one_missing.find(key) == std::string::npos);
  CHECK(one_missing.find("other is connecting") != std::string::npos);
  std::thread late{[&] { board.set("other", second, socket_phase::connected); }};
  CHECK_FALSE(wait(10s));
  late.join();
  board.set(key, first, socket_phase::waiting, make_error(errc::connection_lost, "it broke"));
  CHECK(describe(wait(0ms)).find("it broke") != std::string::npos);
  board.forget(key);
  CHECK_FALSE(wait(0ms));
}

TEST_CASE_METHOD(fixture, "of thousands that are not connected a few are told, and how many more there are") {
  for (int i = 0; i < 5000; ++i)
    board.expect(key + std::to_string(i));
  const auto text = describe(wait(0ms));
  CHECK(text.size() < 1500);
  CHECK(text.find(key + "0 is connecting") != std::string::npos);
  CHECK(text.find("; and 4990 more") != std::string::npos);
}

TEST_CASE_METHOD(fixture, "a refusal for good is told at once, and is over when the socket is connected") {
  board.expect(key);
  board.set(key, first, socket_phase::refused, make_error(errc::unauthorized, "no"));
  CHECK(code_of(wait(1h)) == errc::unauthorized);
  board.set(key, second, socket_phase::connected);
  CHECK_FALSE(wait(0ms));
}

TEST_CASE_METHOD(fixture, "nobody waits for a socket that is drained, whatever is still said of it") {
  board.expect(key);
  board.set(key, first, socket_phase::connected);
  board.set_drained(key, true);
  board.set(key, first, socket_phase::stopped);
  CHECK_FALSE(wait(0ms));
  board.set(key, second, socket_phase::refused, make_error(errc::unauthorized, "no")); // one that was about to begin
  CHECK_FALSE(wait(0ms));
  CHECK(to_string(board.all().at(key)) == "drained");
  board.set_drained(key, false);
  CHECK(code_of(wait(0ms)) == errc::unauthorized);
}

TEST_CASE_METHOD(fixture, "a socket on its way out has no word any more once its successor has begun") {
  board.expect(key);
  board.set(key, first, socket_phase::connected);
  board.set(key, second, socket_phase::connected);
  board.set(key, first, socket_phase::stopped);
  CHECK_FALSE(wait(0ms));
  CHECK(board.all().at(key).phase == socket_phase::connected);
}

TEST_CASE_METHOD(fixture,
                 "that the broker took a socket once is remembered for its successors, until it is forgotten") {
  CHECK_FALSE(board.was_accepted(key));
  board.set(key, first, socket_phase::connecting);
  CHECK_FALSE(board.was_accepted(key));
  board.set(key, first, socket_phase::connected);
  board.set(key, second, socket_phase::refused, make_error(errc::unauthorized, "no"));
  CHECK(board.was_accepted(key));
  board.forget(key);
  CHECK_FALSE(board.was_accepted(key));
}
