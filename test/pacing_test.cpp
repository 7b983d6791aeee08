#include "libstargate/connection/pacing.hpp"

#include <catch2/catch.hpp>

#include <random>

using namespace stargate::connection;
using namespace std::chrono_literals;

namespace {

using clock_type = std::chrono::steady_clock;

/// Frames that come one after the other at a pace, or each when the one before was handed on.
/// @return of the last batches, how many were gathered
std::size_t gathered_of(gathering& g, clock_type::time_point& now, std::size_t batches, clock_type::duration pace,
                        std::size_t last, bool brings_more = true) {
  std::size_t count = 0;
  for (std::size_t i = 0; i < batches; ++i) {
    now += pace;
    std::size_t frames = 1;
    if (g.is_worth_it(now, 100)) {
      count += i + last >= batches ? 1 : 0;
      now += gathering::time;
      if (brings_more)
        frames += static_cast<std::size_t>(gathering::time / pace);
      g.waited(frames > 1);
    }
    g.handed_on(now, frames);
  }
  return count;
}

} // namespace

TEST_CASE("what streams in is gathered") {
  gathering g;
  clock_type::time_point now{1h};
  CHECK(gathered_of(g, now, 1000, 50us, 900) == 900); // 20,000 a second
}

TEST_CASE("what comes at a moderate rate is not kept waiting, also where it comes in bunches") {
  gathering g;
  clock_type::time_point now{1h};
  CHECK(gathered_of(g, now, 5000, 400us, 5000) == 0); // 2,500 a second
  for (int i = 0; i < 500; ++i) {                     // 2,000 a second, as a broker stores them
    now += 2ms;
    CHECK(gathered_of(g, now, 4, 50us, 4) == 0);
  }
}

TEST_CASE("the first batch after a pause is not kept waiting, nor what is worth a wake-up of its own") {
  gathering g;
  clock_type::time_point now{1h};
  static_cast<void>(gathered_of(g, now, 1000, 50us, 0));
  now += 1ms;
  CHECK_FALSE(g.is_worth_it(now, 400));
  g.handed_on(now, 4);
  CHECK(g.is_worth_it(now + 50us, 400));
  g.waited(true);
  g.handed_on(now + 250us, 4);
  CHECK_FALSE(g.is_worth_it(now + 300us, gathering::worth_a_wake_up));
}

TEST_CASE("where waiting brings no more it is seldom tried, and at once often again where it does") {
  gathering g;
  clock_type::time_point now{1h};
  const auto in_vain = gathered_of(g, now, 10'000, 50us, 9000, false);
  CHECK(in_vain > 0);
  CHECK(in_vain < 9000 / 50);
  CHECK(gathered_of(g, now, 1000, 50us, 900) == 900);
}

TEST_CASE("frames of a group wait where they come often, and only there") {
  grouped_frames g;
  clock_type::time_point now{1h};
  for (int i = 0; i < 100; ++i) {
    now += 3ms;
    CHECK_FALSE(g.may_wait(now, 10ms));
  }
  now += 1ms;
  REQUIRE(g.may_wait(now, 10ms));
  CHECK(g.due() == now + 10ms);
  CHECK(g.ripe() == now + 7500us);
  CHECK(g.may_wait(now + 1ms, 10ms)); // and does not put off those that wait already
  CHECK(g.due() == now + 10ms);
  g.sent();
  CHECK(g.due() == clock_type::time_point::max());
  CHECK(g.ripe() == clock_type::time_point::max());
  CHECK(g.may_wait(now + 2ms, 10ms));
  CHECK(g.due() == now + 12ms);
}

TEST_CASE("frames of a group wait for a few milliseconds, too, and never where they may not") {
  const int longest = GENERATE(1, 2, 3);
  grouped_frames g;
  const clock_type::time_point now{1h};
  CHECK_FALSE(g.may_wait(now, 1ms * longest));
  CHECK_FALSE(g.may_wait(now, 0ms));
  CHECK(g.may_wait(now + 200us, 1ms * longest));
  CHECK(g.due() == now + 200us + 1ms * longest);
}

TEST_CASE("frames of a group never wait longer than they may, whatever the pace and whatever others may") {
  std::mt19937 chance(GENERATE(range(1u, 20u)));
  grouped_frames g;
  clock_type::time_point now{1h};
  auto oldest = clock_type::time_point::max(); // by when the first of those that wait has to go
  for (int i = 0; i < 2000; ++i) {
    now += std::chrono::microseconds{chance() % (chance() % 10 == 0 ? 20'000 : 1000)};
    if (g.due() <= now) {
      g.sent();
      oldest = clock_type::time_point::max();
    }
    const std::chrono::milliseconds longest{chance() % 30};
    if (g.may_wait(now, longest))
      oldest = std::min(oldest, now + longest);
    else if (chance() % 2 == 0) { // they are written now, with all that wait
      g.sent();
      oldest = clock_type::time_point::max();
    }
    REQUIRE(g.due() <= oldest);
    REQUIRE(g.ripe() <= g.due());
  }
}
