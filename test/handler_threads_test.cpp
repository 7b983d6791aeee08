// The threads of handlers that may block: few while handlers are light, as many as are needed when they are not.
#include "actors/shared/handler_threads.hpp"
#include "libstargate/base/scheduler.hpp"

#include <stargate/caf.hpp>

#include <catch2/catch.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <functional>
#include <latch>
#include <memory>
#include <mutex>
#include <random>
#include <semaphore>
#include <set>
#include <string>
#include <thread>
#include <vector>

using namespace stargate;
using namespace stargate::compat;
using stargate::internal::handler_threads;
using namespace std::chrono_literals;

namespace {

using clock_type = std::chrono::steady_clock;

/// Does what it is told.
struct handling_state {
  static inline const char* name = "test.handling";
  caf::event_based_actor* const self;
  explicit handling_state(caf::event_based_actor* of) : self{of} {}
  caf::behavior make_behavior() { return behave(self, {}); }
};

struct fixture {
  caf::actor_system_config config;
  caf::actor_system system{config};
  std::shared_ptr<handler_threads> threads = handler_threads::make(system);
  std::vector<caf::actor> actors;

  fixture() = default;
  fixture(const fixture&) = delete;
  fixture& operator=(const fixture&) = delete;
  ~fixture() { end(); }

  caf::actor one() {
    actors.push_back(spawn_hosted_state<handling_state>(system, threads));
    return actors.back();
  }
  static void tell(const caf::actor& who, std::function<void()> what) { post(who, deferred{std::move(what)}); }
  /// After what was told so far.
  static void end(const caf::actor& who) {
    post(who, deferred{[] { throw std::runtime_error{"the end"}; }});
  }
  void end() {
    threads->close();
    for (const auto& who : std::exchange(actors, {}))
      end(who);
    system.await_all_actors_done();
  }
  bool come_to(std::size_t count) const {
    const auto until = clock_type::now() + 30s;
    while (threads->threads() != count && clock_type::now() < until)
      std::this_thread::yield();
    return threads->threads() == count;
  }
};

} // namespace

TEST_CASE_METHOD(fixture, "light handlers of many share a few threads") {
  constexpr std::size_t many = 300, rounds = 50;
  std::mutex mutex;
  std::set<std::thread::id> seen;
  std::atomic<std::size_t> handled{0};
  std::vector<caf::actor> all;
  for (std::size_t i = 0; i < many; ++i)
    all.push_back(one());
  for (std::size_t round = 1; round <= rounds; ++round) {
    for (const auto& who : all)
      tell(who, [&] {
        const std::lock_guard guard{mutex};
        seen.insert(std::this_thread::get_id());
        ++handled;
      });
    while (handled < round * many)
      std::this_thread::yield();
  }
  CHECK(seen.size() < many / 4); // one or two, but where threads are kept from running
  CHECK(threads->threads() < many / 4);
  end();
  CHECK(threads->threads() == 0);
}

TEST_CASE_METHOD(fixture, "no handler waits for another one's end, however many do") {
  constexpr std::size_t many = 60;
  const bool step_aside = GENERATE(false, true);
  for (int round = 0; round < 3; ++round) { // with threads that there are from the first on
    const auto all_there = std::make_shared<std::latch>(many);
    for (std::size_t i = 0; i < many; ++i)
      tell(actors.size() < many ? one() : actors[i], [all_there, step_aside] {
        if (step_aside)
          handler_threads::step_aside();
        all_there->arrive_and_wait();
      });
    all_there->wait();
  }
  CHECK(threads->threads() >= many);
  CHECK(threads->threads() <= many + 1);
  end();
}

TEST_CASE_METHOD(fixture, "what comes while the only thread is held up is taken, though nothing else comes") {
  for (int round = 0; round < 20; ++round) {
    std::binary_semaphore begun{0}, go_on{0}, other{0}, done{0};
    const auto held = one(), waits = one();
    tell(held, [&] {
      begun.release();
      go_on.acquire();
      done.release();
    });
    begun.acquire();
    tell(waits, [&] { other.release(); });
    CHECK(other.try_acquire_for(30s));
    go_on.release();
    done.acquire();
  }
}

TEST_CASE_METHOD(fixture, "light handlers wait for the thread that is at work, for a while") {
  bool was_so = false;
  for (int round = 0; round < 30 && !was_so; ++round) { // this thread, or that one, may be kept from running for longer
    std::binary_semaphore begun{0}, go_on{0}, done{0};
    std::atomic<int> handled{0};
    const auto busy = one();
    tell(busy, [&] {
      begun.release();
      go_on.acquire();
    });
    begun.acquire();
    for (int i = 0; i < 50; ++i)
      tell(one(), [&] {
        if (++handled == 50)
          done.release();
      });
    go_on.release();
    done.acquire();
    was_so = threads->threads() <= 2; // it, and the one that looks after it
    for (const auto& who : std::exchange(actors, {}))
      end(who);
    if (!was_so) {
      end();
      threads = handler_threads::make(system);
    }
  }
  CHECK(was_so);
}

TEST_CASE_METHOD(fixture, "only who is held up by a handler that is not known to take long waits, and only once") {
  constexpr int times = 20;
  const auto held = one(), waits = one();
  const auto hear_from = [&](const auto& while_it_waits) {
    std::binary_semaphore other{0};
    tell(waits, [&] { other.release(); });
    while_it_waits();
    other.acquire();
  };
  const auto by_handler = [&](bool steps_aside, int hears) {
    std::binary_semaphore done{0};
    tell(held, [&] {
      for (int i = 0; i < hears; ++i) {
        hear_from([&] {
          if (steps_aside)
            handler_threads::step_aside();
        });
        if (hears > 1)
          std::this_thread::sleep_for(200us); // the other's thread goes idle
      }
      done.release();
    });
    done.acquire();
  };
  const auto time = [](const auto& what) {
    const auto began = clock_type::now();
    what();
    return clock_type::now() - began;
  };
  const auto each = [](int n, const auto& what) {
    for (int i = 0; i < n; ++i)
      what();
  };
  using span = clock_type::duration;
  span held_up{}, idle{}, aside{}, held_once{};
  const auto is_short = [&] { return 2 * std::max({idle, aside, held_once}) < held_up; };
  for (int attempt = 0; attempt < 3 && !is_short(); ++attempt) { // the machine may be at work
    held_up = idle = aside = held_once = {};
    for (int i = 0; i < 3; ++i) {
      held_up += time([&] { each(times, [&] { by_handler(false, 1); }); });
      idle += time([&] { each(times, [&] { hear_from([] {}); }); });
      aside += time([&] { each(times, [&] { by_handler(true, 1); }); });
      held_once += time([&] { by_handler(false, times); });
    }
  }
  CHECK(2 * idle < held_up);
  CHECK(2 * aside < held_up);
  CHECK(2 * held_once < held_up);
}

TEST_CASE_METHOD(fixture, "to step aside is nothing to a thread that is none of these, nor the second time") {
  handler_threads::step_aside();
  std::binary_semaphore done{0};
  tell(one(), [&] {
    handler_threads::step_aside();
    handler_threads::step_aside();
    done.release();
  });
  done.acquire();
  tell(one(), [&] { done.release(); });
  done.acquire();
  CHECK(threads->threads() <= 3);
}

TEST_CASE_METHOD(fixture, "once closed, no thread is kept, and what comes is done") {
  std::binary_semaphore done{0};
  const auto who = one();
  tell(who, [&] { done.release(); });
  done.acquire();
  CHECK(threads->threads() > 0);
  threads->close();
  CHECK(come_to(0));
  for (int i = 0; i < 50; ++i) {
    tell(who, [&] { done.release(); });
    done.acquire();
  }
  CHECK(come_to(0));
}

TEST_CASE_METHOD(fixture, "whom a handler's actor wakes is the scheduler's, and turns are counted") {
  std::binary_semaphore heard{0}, done{0};
  std::atomic<bool> by_scheduler{false};
  const auto other = system.spawn([&](caf::event_based_actor* self) {
    return behave(self, {}, [&, self](const std::string&) {
      by_scheduler = internal::is_scheduler_thread(system);
      heard.release();
      self->quit();
    });
  });
  const auto before = threads->turns();
  const auto who = one();
  tell(who, [&] {
    send(dynamic_cast<caf::event_based_actor*>(caf::actor_cast<caf::abstract_actor*>(who)), other,
         std::string{"hello"});
    done.release();
  });
  done.acquire();
  heard.acquire();
  CHECK(by_scheduler);
  CHECK(threads->turns() > before);
}

TEST_CASE("whatever handlers do, each message is handled once, in its order, and one at a time") {
  const auto seed = GENERATE(range(1u, 25u));
  CAPTURE(seed);
  std::mt19937 random{seed};
  const auto below = [&](std::size_t n) { return std::uniform_int_distribution<std::size_t>{0, n - 1}(random); };
  fixture f;
  struct place {
    caf::actor who;
    std::atomic<bool> inside{false};
    std::atomic<std::size_t> handled{0};
    std::size_t told = 0;
  };
  std::vector<std::unique_ptr<place>> places;
  for (std::size_t i = 0, n = 1 + below(12); i < n; ++i) {
    places.push_back(std::make_unique<place>());
    places.back()->who = f.one();
  }
  std::atomic<std::size_t> wrong{0};
  const auto messages = 200 + below(300);
  const auto closes_at = below(2 * messages);
  for (std::size_t i = 0; i < messages; ++i) {
    auto& at = *places[below(places.size())];
    auto& other = *places[below(places.size())];
    const auto number = at.told++;
    const auto what = below(12);
    const auto until_other = other.told; // all of them are sent already, so it comes to that, if it is another
    f.tell(at.who, [&wrong, &at, &other, number, what, until_other] {
      wrong += at.inside.exchange(true) ? 1 : 0;
      wrong += at.handled == number ? 0 : 1;
      if (what == 0)
        handler_threads::step_aside();
      if (what <= 1 && &other < &at) // in one direction, so that nobody waits for himself
        while (other.handled < until_other)
          std::this_thread::yield();
      if (what == 2)
        std::this_thread::sleep_for(std::chrono::microseconds{number % 7 * 300});
      at.inside = false;
      ++at.handled;
    });
    if (i == closes_at)
      f.threads->close();
    if (below(20) == 0)
      std::this_thread::yield();
  }
  f.end();
  CHECK(wrong == 0);
  for (const auto& p : places)
    CHECK(p->handled == p->told);
  CHECK(f.threads->threads() == 0);
}
