#include "libstargate/protocol/backoff.hpp"

#include <catch2/catch.hpp>

using namespace std::chrono_literals;
using stargate::protocol::backoff_delay;

TEST_CASE("the wait doubles from the first to the most") {
  CHECK(backoff_delay(100ms, 30s, 0, 0) == 100ms);
  CHECK(backoff_delay(100ms, 30s, 1, 0) == 200ms);
  CHECK(backoff_delay(100ms, 30s, 5, 0) == 3200ms);
  CHECK(backoff_delay(100ms, 30s, 9, 0) == 30s);
  CHECK(backoff_delay(100ms, 30s, 4'000'000'000u, 0) == 30s);
}

TEST_CASE("jitter takes off up to a half") {
  CHECK(backoff_delay(100ms, 30s, 0, 1) == 50ms);
  CHECK(backoff_delay(100ms, 30s, 3, 0.5) == 600ms);
  CHECK(backoff_delay(1ms, 30s, 0, 1) == 1ms);
}

TEST_CASE("a first wait beyond the most is cut to it") {
  CHECK(backoff_delay(10s, 1s, 0, 0) == 1s);
}
