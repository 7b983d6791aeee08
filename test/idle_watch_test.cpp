// Whom the broker is asked for, and when.
#include "actors/shared/idle_watch.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <thread>
#include <vector>

using namespace std::chrono_literals;
using stargate::internal::idle_watch;
using answer = idle_watch::answer;
using news = idle_watch::news;

namespace {

using clock_type = idle_watch::clock;

struct connection : idle_watch::watched {
  explicit connection(clock_type::time_point now, int which = 0) : watched{now}, number{which} {}
  const int number;
};

int number_of(const idle_watch::watched_ptr& who) {
  return who ? static_cast<const connection&>(*who).number : -1;
}

struct fixture {
  clock_type::time_point now{1h};
  idle_watch watch{10s};

  std::shared_ptr<connection> connect(int number = 0) {
    auto who = std::make_shared<connection>(now, number);
    static_cast<void>(watch.enter(who));
    return who;
  }
};

} // namespace

TEST_CASE_METHOD(fixture, "who got nothing for long is asked for once, and again as long after") {
  CHECK_FALSE(watch.what_now(now).look_at);
  const auto who = std::make_shared<connection>(now);
  CHECK(watch.enter(who)); // somebody has to look
  const auto first = watch.what_now(now);
  CHECK_FALSE(first.ask);
  CHECK(first.look_at == now + 10s);
  const auto other = std::make_shared<connection>(now + 1s, 1);
  CHECK_FALSE(watch.enter(other)); // who does already
  now += 10s;
  CHECK(watch.what_now(now).ask);
  CHECK_FALSE(watch.what_now(now).ask); // somebody is about to
  CHECK(watch.next(now) == who);
  CHECK(watch.answered(who, answer::present, now) == news::none);
  CHECK(watch.next(now) == nullptr);
  watch.asked_all();
  CHECK(watch.what_now(now).look_at == now + 1s);
  now += 1s;
  CHECK(watch.what_now(now).ask);
  CHECK(watch.next(now) == other);
}

TEST_CASE_METHOD(fixture, "who is absent twice is forgotten, and looked for sooner, and before the others") {
  const auto lost = connect(1);
  const auto idle = connect(2), idle_too = connect(3);
  now += 10s;
  REQUIRE(watch.next(now));
  CHECK(watch.answered(lost, answer::absent, now) == news::none);
  now += 1999ms;
  CHECK(number_of(watch.next(now)) != 1);
  now += 1ms;
  CHECK(watch.next(now) == lost); // though one of the others waits longer
  CHECK(watch.answered(lost, answer::absent, now) == news::forgotten);
  now += 2s;
  CHECK(watch.next(now) != lost);
  now += 8s;
  CHECK(watch.next(now) == lost);
  CHECK(watch.answered(lost, answer::absent, now) == news::none); // from the beginning
}

TEST_CASE_METHOD(fixture, "who is heard of between two absences is not forgotten") {
  const auto who = connect();
  now += 10s;
  CHECK(watch.next(now) == who);
  CHECK(watch.answered(who, answer::absent, now) == news::none);
  SECTION("a while before the second look") {
    now += 1s;
    who->heard(now);
    now += 1s;
    CHECK(watch.next(now) == nullptr);
    now += 9s;
  }
  SECTION("long before it, since there was much to ask") {
    who->heard(now + 1ms);
    now += 1min;
  }
  CHECK(watch.next(now) == who);
  CHECK(watch.answered(who, answer::absent, now) == news::none);
}

TEST_CASE_METHOD(fixture, "where nobody answers, all that are due wait, and that is said once until somebody does") {
  std::vector<std::shared_ptr<connection>> all;
  for (int i = 0; i < 5; ++i)
    all.push_back(connect(i));
  for (int outage = 0; outage < 2; ++outage) {
    now += 10s;
    auto who = watch.next(now);
    REQUIRE(who);
    CHECK(watch.unanswered(who, now));
    CHECK(watch.next(now) == nullptr);
    now += 10s;
    who = watch.next(now);
    REQUIRE(who);
    CHECK_FALSE(watch.unanswered(who, now));
    now += 10s;
    for (int i = 0; i < 5; ++i) {
      who = watch.next(now);
      REQUIRE(who);
      CHECK(watch.answered(who, answer::present, now) == news::none);
    }
  }
}

TEST_CASE_METHOD(fixture, "that the broker does not say is news once for each connection") {
  const auto who = connect();
  for (int i = 0; i < 3; ++i) {
    now += 10s;
    REQUIRE(watch.next(now) == who);
    CHECK(watch.answered(who, answer::no_topic, now) == news::none);
    now += 10s;
    REQUIRE(watch.next(now) == who);
    CHECK(watch.answered(who, answer::unknown, now) == (i == 0 ? news::unknown : news::none));
  }
}

TEST_CASE_METHOD(fixture, "nobody is asked for who is not kept, nor when it is closed, nor where that is not wanted") {
  auto who = connect();
  now += 10s;
  SECTION("not kept") {
    who.reset();
    CHECK_FALSE(watch.what_now(now).ask);
    CHECK_FALSE(watch.what_now(now).look_at);
    CHECK(watch.enter(std::make_shared<connection>(now))); // nobody looks any more
  }
  SECTION("closed") {
    watch.close();
    CHECK(watch.next(now) == nullptr);
    CHECK_FALSE(watch.what_now(now).ask);
    CHECK_FALSE(watch.wait(1min, 1min));
  }
  SECTION("not wanted") {
    idle_watch never{0ms};
    CHECK_FALSE(never.enter(who));
    CHECK(never.next(now + 24h) == nullptr);
  }
}

TEST_CASE_METHOD(fixture, "where messages come to thousands, it is not looked for each of them") {
  std::vector<std::shared_ptr<connection>> all;
  for (int i = 0; i < 5'000; ++i) {
    all.push_back(connect(i));
    now += 1ms;
  }
  int looks = 0;
  for (const auto end = now + 1min; now < end; ++looks) {
    for (const auto& c : all)
      c->heard(now);
    const auto next = watch.what_now(now);
    REQUIRE_FALSE(next.ask);
    REQUIRE(next.look_at);
    REQUIRE(*next.look_at > now);
    now = *next.look_at;
  }
  CHECK(looks <= 6 * 32 + 1);
}

TEST_CASE("whoever waits for more to ask for goes on when it is closed") {
  idle_watch watch{10s};
  std::thread closes{[&] { watch.close(); }};
  CHECK_FALSE(watch.wait(1h, 1h));
  closes.join();
}

TEST_CASE("connections come, are heard of and go while somebody asks for them, until it is closed") {
  idle_watch watch{1ms};
  std::atomic<std::uint64_t> asked{0};
  std::atomic<bool> is_over{false};
  std::thread asks{[&] {
    bool open = true;
    for (std::uint64_t i = 0; open; ++i) {
      static_cast<void>(watch.what_now(clock_type::now()));
      while (const auto who = watch.next(clock_type::now())) {
        ++asked;
        if (i % 8 == 0)
          static_cast<void>(watch.unanswered(who, clock_type::now()));
        else
          static_cast<void>(watch.answered(who, static_cast<answer>(i % 3), clock_type::now()));
      }
      watch.asked_all();
      open = watch.wait(0ms, 1ms);
    }
  }};
  std::vector<std::thread> connect;
  for (unsigned t = 0; t < 3; ++t)
    connect.emplace_back([&, t] {
      std::mt19937 random{t};
      std::vector<std::shared_ptr<connection>> mine(20);
      while (!is_over) {
        auto& who = mine[random() % mine.size()];
        if (!who || random() % 4 == 0)
          static_cast<void>(watch.enter(who = std::make_shared<connection>(clock_type::now())));
        else
          who->heard(clock_type::now());
        if (random() % 64 == 0)
          std::this_thread::yield();
      }
    });
  while (asked < 1'000)
    std::this_thread::yield();
  is_over = true;
  for (auto& t : connect)
    t.join();
  watch.close();
  asks.join();
  CHECK(watch.next(clock_type::now() + 1h) == nullptr);
}

TEST_CASE("whatever happens to connections, each that is idle is asked for in time, and no other") {
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    std::mt19937_64 random{seed};
    const auto below = [&](std::uint64_t n) { return random() % n; };
    clock_type::time_point now{1h};
    idle_watch watch{10s};
    struct life {
      std::shared_ptr<connection> who;
      clock_type::time_point heard, asked;
      int absences = 0;
    };
    std::map<int, life> all;
    std::optional<clock_type::time_point> looks_at;
    int last = 0;
    for (int step = 0; step < 400; ++step) {
      now += std::chrono::milliseconds{below(1'500)};
      bool has_to_look = looks_at && *looks_at <= now;
      switch (below(4)) {
        case 0: {
          auto who = std::make_shared<connection>(now, ++last);
          has_to_look |= watch.enter(who);
          all.emplace(last, life{who, now, {}});
          break;
        }
        case 1:
          if (!all.empty() && all.size() > 3)
            all.erase(std::next(all.begin(), static_cast<std::ptrdiff_t>(below(all.size()))));
          break;
        default:
          if (!all.empty()) {
            auto& l = std::next(all.begin(), static_cast<std::ptrdiff_t>(below(all.size())))->second;
            l.who->heard(l.heard = now);
            l.absences = 0;
          }
      }
      if (!has_to_look)
        continue;
      looks_at.reset();
      auto next = watch.what_now(now);
      if (next.ask) {
        while (const auto who = watch.next(now)) {
          auto& l = all.at(number_of(who));
          REQUIRE(now - l.heard >= 10s);
          REQUIRE(now - l.asked >= 2s);
          l.asked = now;
          const auto what = static_cast<answer>(below(4));
          l.absences = what == answer::absent ? l.absences + 1 : 0;
          const bool is_forgotten = l.absences == 2;
          if (is_forgotten)
            l.absences = 0;
          REQUIRE((watch.answered(who, what, now) == news::forgotten) == is_forgotten);
        }
        watch.asked_all();
        next = watch.what_now(now);
      }
      REQUIRE_FALSE(next.ask);
      looks_at = next.look_at;
      REQUIRE(looks_at.has_value() == !all.empty());
      for (const auto& [number, l] : all) // nobody has to wait much longer than that
        REQUIRE(*looks_at <= std::max({l.heard, l.asked, now}) + 10s + 400ms);
    }
  }
}
