#include "actors/site.hpp"

#include <catch2/catch.hpp>

#include <thread>

using namespace stargate;
using namespace std::chrono_literals;
using internal::socket_board, internal::socket_phase;

namespace {

constexpr caf::actor_id first = 7, second = 8;
const std::string key = "producer/persistent/public/default/orders";

} // namespace

TEST_CASE("who waits for sockets is told when all are connected, and which are not") {
  socket_board board;
  CHECK_FALSE(board.wait_connected(0ms)); // nothing is expected
  board.expect(key);
  board.expect("other");
  const auto nothing_yet = board.wait_connected(0ms);
  CHECK(code_of(nothing_yet) == errc::timed_out);
  CHECK(describe(nothing_yet).find(key + " is connecting") != std::string::npos);
  board.set(key, first, socket_phase::connected);
  const auto one_missing = describe(board.wait_connected(0ms));
  CHECK(one_missing.find(key) == std::string::npos);
  CHECK(one_missing.find("other is connecting") != std::string::npos);
  std::thread late{[&] { board.set("other", second, socket_phase::connected); }};
  CHECK_FALSE(board.wait_connected(10s));
  late.join();
  board.set(key, first, socket_phase::waiting, make_error(errc::connection_lost, "it broke"));
  CHECK(describe(board.wait_connected(0ms)).find("it broke") != std::string::npos);
  board.forget(key);
  CHECK_FALSE(board.wait_connected(0ms));
}

TEST_CASE("a refusal for good is told at once, and is over when the socket is connected") {
  socket_board board;
  board.expect(key);
  board.set(key, first, socket_phase::refused, make_error(errc::unauthorized, "no"));
  CHECK(code_of(board.wait_connected(1h)) == errc::unauthorized);
  board.set(key, second, socket_phase::connected);
  CHECK_FALSE(board.wait_connected(0ms));
}

TEST_CASE("a socket on its way out has no word any more once its successor has begun") {
  socket_board board;
  board.expect(key);
  board.set(key, first, socket_phase::connected);
  board.set(key, second, socket_phase::connected);
  board.set(key, first, socket_phase::stopped);
  CHECK_FALSE(board.wait_connected(0ms));
  CHECK(board.all().at(key).phase == socket_phase::connected);
}

TEST_CASE("that the broker took a socket once is remembered for its successors, until it is forgotten") {
  socket_board board;
  CHECK_FALSE(board.was_accepted(key));
  board.set(key, first, socket_phase::connecting);
  CHECK_FALSE(board.was_accepted(key));
  board.set(key, first, socket_phase::connected);
  board.set(key, second, socket_phase::refused, make_error(errc::unauthorized, "no"));
  CHECK(board.was_accepted(key));
  board.forget(key);
  CHECK_FALSE(board.was_accepted(key));
}
