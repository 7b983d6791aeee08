// Questions to the broker's administration that wait for each other.
#include "actors/shared/errands.hpp"

#include <stargate/error.hpp>

#include <catch2/catch.hpp>

#include <algorithm>
#include <atomic>
#include <future>
#include <random>
#include <string>
#include <thread>
#include <vector>

using stargate::admin, stargate::errc, stargate::internal::errands;
using namespace std::chrono_literals;

namespace {

/// A broker's administration that is never reached: what is asked of it decides the errands themselves.
admin nobody() {
  return admin{[](std::string_view, const std::string&, const std::string&) -> caf::expected<std::string> {
    return stargate::make_error(errc::connection_failed, "there is nobody");
  }};
}

errands::refusal never() {
  return [](const caf::error&) { FAIL("an errand was refused"); };
}

} // namespace

TEST_CASE("errands are run in their order, and the first asks for somebody to run them") {
  errands e;
  std::string said;
  const auto say = [&](char c) {
    return [&said, c](const admin&) {
      said += c;
      return caf::error{};
    };
  };
  CHECK(e.add(say('a'), never()));
  CHECK_FALSE(e.add(say('b'), never()));
  CHECK_FALSE(e.add(say('c'), never()));
  int made = 0;
  e.run([&] { return ++made, nobody(); }, 0ms, 0ms);
  CHECK(said == "abc");
  CHECK(made == 1); // one connection for all
  CHECK(e.add(say('d'), never()));
  e.run(nobody, 0ms, 0ms);
  CHECK(said == "abcd");
}

TEST_CASE("where the administration does not answer, all that wait are told so at once") {
  errands e;
  int asked = 0;
  std::vector<errc> told;
  for (int i = 0; i < 3; ++i)
    static_cast<void>(e.add(
      [&](const admin& broker) {
        ++asked;
        return broker.health();
      },
      [&](const caf::error& why) { told.push_back(stargate::code_of(why)); }));
  e.run(nobody, 0ms, 0ms);
  CHECK(asked == 1);
  CHECK(told == std::vector(2, errc::connection_failed));
}

TEST_CASE("whoever runs errands stays for those that come, and goes when it is told to") {
  errands e;
  std::atomic<int> done = 0;
  const auto count = [&](const admin&) {
    ++done;
    return caf::error{};
  };
  CHECK(e.add(count, never()));
  auto running = std::async(std::launch::async, [&] { e.run(nobody, 1h, 0ms); });
  while (done < 1)
    std::this_thread::yield();
  CHECK_FALSE(e.add(count, never()));
  while (done < 2)
    std::this_thread::yield();
  e.close();
  REQUIRE(running.wait_for(10s) == std::future_status::ready);
  errc told{};
  CHECK(e.add(count, [&](const caf::error& why) { told = stargate::code_of(why); })); // of a tree that ends
  e.run(nobody, 1h, 0ms);
  CHECK(told == errc::stopping);
  CHECK(done == 2);
}

TEST_CASE("errands go at their pace, those that are urgent before the others, and none is waited for at the end") {
  constexpr auto pace = 5ms;
  errands e;
  std::vector<std::pair<char, std::chrono::steady_clock::time_point>> said; // read when nobody runs any more
  const auto say = [&](char c) {
    return [&said, c](const admin&) {
      said.emplace_back(c, std::chrono::steady_clock::now());
      return caf::error{};
    };
  };
  CHECK(e.add(say('b'), never()));
  CHECK_FALSE(e.add(say('c'), never()));
  CHECK_FALSE(e.add(say('a'), never(), errands::turn::next));
  e.run(nobody, 0ms, pace);
  REQUIRE(said.size() == 3);
  for (std::size_t i = 0; i < 3; ++i) {
    CHECK(said[i].first == "abc"[i]);
    CHECK((i == 0 || said[i].second - said[i - 1].second >= pace));
  }
  std::atomic<int> refused = 0, done = 0;
  const auto count = [&](const admin&) {
    ++done;
    return caf::error{};
  };
  for (int i = 0; i < 100; ++i)
    static_cast<void>(e.add(count, [&](const caf::error&) { ++refused; }));
  auto running = std::async(std::launch::async, [&] { e.run(nobody, 1h, 1h); });
  while (done < 1)
    std::this_thread::yield();
  e.close();
  REQUIRE(running.wait_for(10s) == std::future_status::ready);
  CHECK(done == 1);
  CHECK(refused == 99);
}

TEST_CASE("however errands come, each is run once and none is left") {
  errands e;
  constexpr int threads = 4, each = 500;
  std::atomic<int> done = 0, at_once = 0, most_at_once = 0, refused = 0;
  std::vector<std::thread> callers;
  for (int t = 0; t < threads; ++t)
    callers.emplace_back([&, t] {
      std::mt19937 chance(static_cast<unsigned>(t));
      for (int i = 0; i < each; ++i)
        if (e.add(
              [&](const admin&) {
                most_at_once = std::max<int>(most_at_once, ++at_once);
                ++done;
                --at_once;
                return caf::error{};
              },
              [&](const caf::error&) { ++refused; }))
          e.run(nobody, std::chrono::milliseconds{chance() % 2}, 0ms);
    });
  for (auto& c : callers)
    c.join();
  CHECK(done == threads * each);
  CHECK(most_at_once == 1);
  CHECK(refused == 0);
}
