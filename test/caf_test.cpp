// What is promised of actors on both generations of CAF.
#include "actors/shared/handler_threads.hpp"
#include "libstargate/base/scheduler.hpp"
#include "test/deterministic.hpp"

#include <stargate/caf.hpp>

#include <catch2/catch.hpp>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <future>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>

using namespace stargate;
using namespace stargate::compat;
using namespace std::chrono_literals;

namespace {

/// Takes its time to go.
struct slow_state {
  static inline const char* name = "test.slow";
  caf::event_based_actor* const self;
  const std::shared_ptr<std::atomic<int>> living;

  slow_state(caf::event_based_actor* of, std::shared_ptr<std::atomic<int>> count) : self{of}, living{std::move(count)} {
    ++*living;
  }
  slow_state(const slow_state&) = delete;
  slow_state& operator=(const slow_state&) = delete;
  ~slow_state() {
    for (int i = 0; i < 100; ++i)
      std::this_thread::yield();
    --*living;
  }
  caf::behavior make_behavior() {
    return behave(self, {}, [this](const caf::error& why) { self->quit(why); });
  }
};

} // namespace

TEST_CASE("whoever is told that an actor has ended finds its state gone, whatever it ended of") {
  caf::actor_system_config config;
  caf::actor_system system{config};
  caf::scoped_actor self{system};
  for (int round = 0; round < 300; ++round) {
    const auto living = std::make_shared<std::atomic<int>>(0);
    const auto who = spawn_state<slow_state>(system, living);
    REQUIRE(*living == 1);
    // By an actor of ours, as a supervisor watches its children.
    const auto watcher = system.spawn([who, living](caf::event_based_actor* me) {
      signal_handlers signals;
      const auto seen = std::make_shared<int>(-1);
      signals.down = [seen, living](const caf::actor_addr&, const caf::error&) { *seen = *living; };
      monitor(me, who);
      return behave(me, std::move(signals), [seen](const deferred&) -> caf::result<int> { return *seen; });
    });
    self->monitor(who);
    switch (round % 4) {
      case 0: send_exit(who, caf::exit_reason::kill); break;
      case 1: send_exit(who, caf::exit_reason::user_shutdown); break;
      case 2: post(who, induced_crash{"on purpose"}); break;
      default: post(who, caf::make_error(caf::sec::runtime_error, std::string{"its own"})); break;
    }
    self->receive([&](const caf::down_msg&) { CHECK(*living == 0); });
    int seen = -1;
    while (seen < 0)
      request(self.ptr(), watcher, 10s, deferred{[] {}})
        .receive([&](int n) { seen = n; }, [](const caf::error& e) { FAIL(caf::to_string(e)); });
    CHECK(seen == 0);
    send_exit(watcher, caf::exit_reason::kill);
  }
}

namespace {

/// Waits elsewhere than before its mailbox, once for each time that it is told to.
struct elsewhere_state {
  static inline const char* name = "test.elsewhere";
  caf::event_based_actor* const self;
  std::atomic<int>& waited;
  std::atomic<int>& in_vain;

  elsewhere_state(caf::event_based_actor* of, std::atomic<int>& count, std::atomic<int>& vain)
    : self{of},
      waited{count},
      in_vain{vain} {}

  void wait() {
    std::mutex mutex;
    std::condition_variable changed;
    auto& mail = dynamic_cast<mail_bell&>(*self);
    mail.on_mail([&] {
      const std::lock_guard guard{mutex};
      changed.notify_one();
    });
    {
      std::unique_lock lock{mutex}; // it may ring for what was taken before
      in_vain += changed.wait_for(lock, 10s, [this] { return self->mailbox().size() > 0; }) ? 0 : 1;
    }
    mail.on_mail({});
    ++waited;
  }
  caf::behavior make_behavior() {
    return behave(self, {}, [this](const std::string&) { wait(); });
  }
};

} // namespace

TEST_CASE("that an actor has ended is heard in its turn: behind what was sent before, and before what was sent after") {
  for (const bool is_killed : {false, true}) {
    test::deterministic d;
    const auto heard = std::make_shared<std::string>();
    const auto watched = d.system().spawn(
      [](caf::event_based_actor* me) { return behave(me, {}, [me](const caf::error& why) { me->quit(why); }); });
    const auto watcher = d.system().spawn([watched, heard](caf::event_based_actor* me) {
      signal_handlers signals;
      signals.down = [heard](const caf::actor_addr&, const caf::error&) { *heard += "down "; };
      monitor(me, watched);
      return behave(me, std::move(signals), [heard](const std::string& what) { *heard += what; });
    });
    d.run();
    post(watcher, std::string{"before "});
    if (is_killed)
      send_exit(watched, caf::exit_reason::kill);
    else
      post(watched, caf::make_error(caf::sec::runtime_error, std::string{"its own"}));
    d.run_only(watched);
    post(watcher, std::string{"after "});
    d.run();
    CHECK(*heard == "before down after ");
  }
}

TEST_CASE("an actor that waits elsewhere hears of its mail, whenever that comes, and of its end") {
  caf::actor_system_config config;
  caf::actor_system system{config};
  std::atomic<int> waited{0}, in_vain{0};
  const auto threads = internal::handler_threads::make(system);
  const auto who = spawn_hosted_state<elsewhere_state>(system, threads, waited, in_vain);
  constexpr int rounds = 3000;
  post(who, std::string{"first"});
  for (int i = 1; i <= rounds; ++i) {
    while (waited < i - 1) // each message ends a wait, and begins one
      std::this_thread::yield();
    for (int n = 0; n < i % 64; ++n)
      std::this_thread::yield();
    post(who, std::string{"next"});
  }
  while (waited < rounds)
    std::this_thread::yield();
  send_exit(who, caf::exit_reason::user_shutdown); // the last one waits
  threads->close();
  system.await_all_actors_done();
  CHECK(waited == rounds + 1);
  CHECK(in_vain == 0);
}

TEST_CASE("an actor may not wait on the scheduler's thread, and a thread that it makes may") {
  caf::actor_system_config config;
  caf::actor_system system{config};
  CHECK_FALSE(internal::is_scheduler_thread(system));
  std::promise<std::pair<bool, bool>> seen;
  system.spawn([&](caf::event_based_actor*) {
    const bool here = internal::is_scheduler_thread(system);
    bool there = true;
    std::thread{[&] { there = internal::is_scheduler_thread(system); }}.join();
    seen.set_value({here, there});
  });
  const auto [here, there] = seen.get_future().get();
  CHECK(here);
  CHECK_FALSE(there);
  std::atomic<bool> own = true;
  system.spawn<caf::detached>([&](caf::event_based_actor*) { own = internal::is_scheduler_thread(system); });
  system.await_all_actors_done();
  CHECK_FALSE(own);
}
