#include "libstargate/connection/pacing.hpp"

#include "libstargate/connection/event_loop.hpp"

#include <stargate/options.hpp>

#include <catch2/catch.hpp>

#include <algorithm>
#include <deque>
#include <random>

using namespace stargate::connection;
using namespace std::chrono_literals;

namespace {

constexpr std::size_t large = 32u << 10; // bytes that have a wake-up of their own

using clock_type = std::chrono::steady_clock;

/// Frames that come one after the other at a pace, in a time that goes on as it is told to.
struct stream {
  gathering g{2ms};
  clock_type::time_point now{1h};
  std::size_t connections = 1;    ///< Each frame comes by another one, of so many.
  bool is_answered = false;       ///< Each comes when the one before was handed on, so that waiting brings no more.
  clock_type::duration longest{}; ///< That a frame waited.

  /// @return of the last batches, how many were gathered
  std::size_t gathered_of(std::size_t batches, clock_type::duration pace, std::size_t last) {
    std::size_t count = 0;
    longest = {};
    for (std::size_t i = 0; i < batches; ++i) {
      now += pace;
      const auto began = now;
      std::size_t frames = 1;
      auto wait = g.wait(now, {1, 100});
      count += wait.count() > 0 && i + last >= batches ? 1 : 0;
      for (; wait.count() > 0; wait = g.wait(now, {frames, 100 * frames})) {
        now += wait;
        frames = is_answered ? 1 : 1 + static_cast<std::size_t>((now - began) / pace);
      }
      if (i + last >= batches)
        longest = std::max(longest, now - began);
      g.handed_on(now, frames, std::min(frames, connections));
    }
    return count;
  }
};

} // namespace

TEST_CASE("what streams in is gathered") {
  stream s;
  CHECK(s.gathered_of(1000, 50us, 900) == 900); // 20,000 a second
  CHECK(s.longest == moment::shortest);
}

TEST_CASE("what comes at a moderate rate is not kept waiting, also where it comes in bunches") {
  stream s{.connections = GENERATE(1u, 1000u)};
  CHECK(s.gathered_of(5000, 400us, 5000) == 0); // 2,500 a second
  for (int i = 0; i < 500; ++i) {               // 2,000 a second, as a broker stores them
    s.now += 2ms;
    CHECK(s.gathered_of(4, 50us, 4) == 0);
  }
}

TEST_CASE("the first batch after a pause is not kept waiting, nor what is worth a wake-up of its own") {
  stream s{.connections = GENERATE(1u, 1000u)};
  static_cast<void>(s.gathered_of(1000, 50us, 0));
  auto& now = s.now;
  now += 1ms;
  CHECK(s.g.wait(now, {4, 400}).count() == 0);
  s.g.handed_on(now, 4, 4);
  CHECK(s.g.wait(now += 50us, {4, 400}).count() > 0);
  CHECK(s.g.wait(now += 200us, {400, large}).count() == 0);
  s.g.handed_on(now, 400, 4);
  CHECK(s.g.wait(now += 50us, {400, large}).count() == 0);
}

TEST_CASE("where waiting brings no more it is seldom tried, and at once often again where it does") {
  stream s{.connections = GENERATE(1u, 1000u)};
  s.is_answered = true;
  const auto in_vain = s.gathered_of(10'000, 50us, 9000);
  CHECK(in_vain > 0);
  CHECK(in_vain < 9000 / 50);
  s.is_answered = false;
  CHECK(s.gathered_of(1000, 50us, 900) == 900);
}

TEST_CASE("what streams by many connections is gathered for longer, and by few it is not") {
  stream s{.connections = GENERATE(1u, 2u, 3u, 1000u)};
  CHECK(s.gathered_of(1000, 50us, 900) == 900); // 20,000 a second: 40 in the longest moment
  if (s.connections > 2)
    CHECK(s.longest > 1900us);
  else
    CHECK(s.longest == moment::shortest);
}

TEST_CASE("what streams by many connections is gathered until there is enough of it, and no longer") {
  stream s{.g = gathering{100ms}, .connections = 1000};
  CHECK(s.gathered_of(1000, 10us, 500) == 500); // 100,000 a second
  CHECK(s.longest > 1000us);
  CHECK(s.longest < 3000us);
}

TEST_CASE("what streams by many connections is not gathered for longer than brings more") {
  stream s{.g = gathering{100ms}, .connections = 1000};
  static_cast<void>(s.gathered_of(1000, 50us, 0));
  const std::size_t at_once =
    50; // they ask as many questions when they are answered, and have to be handed on for that
  clock_type::duration waited{0};
  for (int i = 0; i < 100; ++i) {
    s.now += 100us;
    waited = {};
    for (auto wait = s.g.wait(s.now, {1, 100}); wait.count() > 0; wait = s.g.wait(s.now, {at_once, 5000})) {
      s.now += wait;
      waited += wait;
    }
    s.g.handed_on(s.now, at_once, at_once);
  }
  CHECK(waited == moment::shortest);
}

TEST_CASE("where little more is awaited nobody waits for it") {
  stream s{.connections = GENERATE(1u, 1000u)};
  static_cast<void>(s.gathered_of(1000, 50us, 0));
  auto& now = s.now;
  CHECK(s.g.wait(now += 50us, {.frames = 10, .bytes = 1000, .answers = 10, .awaited = 30}).count() == 0);
  s.g.handed_on(now, 10, 10);
  CHECK(s.g.wait(now += 50us, {.frames = 10, .bytes = 1000, .answers = 10, .awaited = 5000}).count() > 0);
  s.g.handed_on(now, 10, 10);
  CHECK(s.g.wait(now += 50us, {.frames = 10, .bytes = 1000}).count() > 0); // and where nothing is, more may come
}

TEST_CASE("however many ask anew when they are answered, gathering leaves the peer most of its work") {
  std::mt19937 chance(GENERATE(range(1u, 60u)));
  const std::size_t connections = chance() % 3 == 0 ? 1 : 1000;
  const auto asking = static_cast<std::size_t>(1) << (chance() % 11);
  const std::chrono::microseconds service{2 + chance() % 30}, wake_up{5 + chance() % 30};
  CAPTURE(connections, asking, service, wake_up);
  // How much of its time a peer is busy that answers one question after the other. Each has an answer's pace on this
  // side, too, and each batch a wake-up's.
  const auto share = [&](std::chrono::milliseconds gather_time) {
    gathering g{gather_time};
    std::deque<clock_type::time_point> answers; // when each is there
    auto now = clock_type::time_point{1h};
    const auto began = now;
    const auto ask = [&](std::size_t count) {
      for (; count > 0; --count)
        answers.push_back((answers.empty() ? now : std::max(now, answers.back())) + service);
    };
    ask(asking);
    std::size_t answered = 0;
    while (answered < 20'000) {
      now = std::max(now, answers.front());
      const auto come = [&] {
        const auto there =
          static_cast<std::size_t>(std::upper_bound(answers.begin(), answers.end(), now) - answers.begin());
        return amount{.frames = there, .bytes = 100 * there, .answers = there, .awaited = answers.size() - there};
      };
      for (auto wait = g.wait(now, come()); wait.count() > 0; wait = g.wait(now, come()))
        now += wait;
      const auto batch = come().frames;
      now += wake_up + batch * service / 4;
      g.handed_on(now, batch, std::min(batch, connections));
      answers.erase(answers.begin(), answers.begin() + static_cast<std::ptrdiff_t>(batch));
      answered += batch;
      ask(batch);
    }
    return static_cast<double>(answered) * std::chrono::duration<double>{service}
           / std::chrono::duration<double>{now - began};
  };
  CHECK(share(2ms) >= 0.85 * share(0ms));
}

TEST_CASE("nothing is gathered where nothing may be") {
  stream s{.g = gathering{0ms}, .connections = GENERATE(1u, 1000u)};
  CHECK(s.gathered_of(1000, 50us, 1000) == 0);
}

TEST_CASE("whatever comes, and by what, no frame waits longer than it may") {
  std::mt19937 chance(GENERATE(range(1u, 20u)));
  const std::chrono::milliseconds longest{chance() % 20};
  gathering g{longest};
  clock_type::time_point now{1h};
  std::size_t gathered = 0;
  for (int i = 0; i < 3000; ++i) {
    now += std::chrono::microseconds{chance() % (chance() % 50 == 0 ? 20'000 : 100)};
    amount come{1 + chance() % 10, chance() % 1000};
    const auto began = now;
    for (auto wait = g.wait(now, come); wait.count() > 0; wait = g.wait(now, come)) {
      now += wait;
      switch (chance() % 4) {
        case 0: break;
        case 1: come = {}; break; // those that it had come by have ended
        default: come.frames += chance() % 50, come.bytes += chance() % (chance() % 10 == 0 ? 50'000 : 500);
      }
    }
    REQUIRE(now - began <= longest);
    gathered += now > began ? 1 : 0;
    g.handed_on(now, come.frames, chance() % 10);
  }
  CHECK((gathered > 0) == (longest.count() > 0));
}

TEST_CASE("frames of a group wait where they come often, and only there") {
  grouped_frames g;
  clock_type::time_point now{1h};
  for (int i = 0; i < 100; ++i) {
    now += 5ms;
    CHECK_FALSE(g.may_wait(now, 10ms));
  }
  now += 4900us;
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

TEST_CASE("what is sent for each batch that was gathered is a group") {
  const auto longest = stargate::consumer_options{}.ack_group_time;
  grouped_frames g;
  clock_type::time_point now{1h};
  CHECK_FALSE(g.may_wait(now, longest));
  std::size_t sent = 0;
  for (int i = 0; i < 90; ++i) {
    now += default_gather_time * 2; // as long as it gathers, and is at work
    CHECK(g.may_wait(now, longest));
    if (g.ripe() <= now) {
      g.sent();
      ++sent;
    }
  }
  CHECK(sent <= 30);
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
