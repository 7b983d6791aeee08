#include "actors/receiver/rate_limiter.hpp"

#include <catch2/catch.hpp>

using namespace stargate::internal;
using namespace std::chrono_literals;

TEST_CASE("a rate of nothing lets everything pass") {
  rate_limiter none{0};
  CHECK(none.available({}) > 1'000'000);
  none.take(1'000'000);
  CHECK(none.wait() == 0ms);
}

TEST_CASE("a rate holds over time, and a tenth of it passes at once") {
  rate_limiter hundred{100};
  rate_limiter::clock::time_point now{1s};
  CHECK(hundred.available(now) == 10);
  hundred.take(10);
  CHECK(hundred.available(now) == 0);
  CHECK(hundred.wait() == 10ms);
  now += 10ms;
  CHECK(hundred.available(now) == 1);
  now += 1h; // what was not used is not saved up
  CHECK(hundred.available(now) == 10);
  std::size_t passed = 0;
  for (int i = 0; i < 1000; ++i) {
    now += 10ms;
    const auto n = hundred.available(now);
    hundred.take(n);
    passed += n;
  }
  CHECK(passed >= 999);
  CHECK(passed <= 1010);
}

TEST_CASE("a rate below one a second lets one pass now and then") {
  rate_limiter slow{0.5};
  rate_limiter::clock::time_point now{1s};
  CHECK(slow.available(now) == 1);
  slow.take(1);
  CHECK(slow.wait() == 2000ms);
  CHECK(slow.available(now + 1999ms) == 0);
  CHECK(slow.available(now + 2001ms) == 1);
}
