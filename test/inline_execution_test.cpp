// Actors that whoever wakes them runs.
#include "actors/shared/inline_execution.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <future>
#include <mutex>
#include <thread>
#include <vector>

using namespace stargate::internal;
using namespace std::chrono_literals;

namespace {

using place = std::thread::id;

/// Where an actor has run.
struct trace {
  std::mutex mutex;
  std::vector<place> places;
  std::size_t unguarded = 0; ///< That two run it at once would be a race, which the sanitizers see.

  void add() {
    ++unguarded;
    const std::lock_guard guard{mutex};
    places.push_back(std::this_thread::get_id());
  }
  std::size_t count() {
    const std::lock_guard guard{mutex};
    return places.size();
  }
  bool was_last_here() {
    const std::lock_guard guard{mutex};
    return !places.empty() && places.back() == std::this_thread::get_id();
  }
  bool was_ever_here() {
    const std::lock_guard guard{mutex};
    return std::find(places.begin(), places.end(), std::this_thread::get_id()) != places.end();
  }
};

/// Tells where it runs, and passes on what it is told.
struct runner_state {
  static inline const char* name = "test.runner";
  caf::event_based_actor* const self;
  const bool runs_inline;
  const caf::actor next;
  trace& seen;

  runner_state(caf::event_based_actor* of, bool is_inline, caf::actor behind, trace& places)
    : self{of},
      runs_inline{is_inline},
      next{std::move(behind)},
      seen{places} {}
  [[nodiscard]] bool may_run_inline(inline_host on) const { return runs_inline && on == inline_host::caller; }
  caf::behavior make_behavior() {
    return behave(self, {}, [this](deferred& m) {
      seen.add();
      if (next)
        return send(self, next, std::move(m));
      m.what();
    });
  }
};

struct system_fixture {
  caf::actor_system_config config;
  caf::actor_system system{config};

  caf::actor runner(bool is_inline, caf::actor behind, trace& places) {
    auto who = spawn_state<runner_state>(system, is_inline, std::move(behind), places);
    caf::scoped_actor self{system}; // it waits from here on, and whoever tells it something wakes it
    request(self.ptr(), who, 10s, deferred{[] {}}).receive([] {}, [](const caf::error&) {});
    return who;
  }
};

/// Waits until an actor has nothing to do: from then on, whoever tells it something wakes it.
void until_asleep(const caf::actor& who) {
  auto* actor = dynamic_cast<caf::scheduled_actor*>(caf::actor_cast<caf::abstract_actor*>(who));
  REQUIRE(actor != nullptr);
  while (!actor->mailbox().blocked())
    std::this_thread::yield();
}

} // namespace

TEST_CASE_METHOD(system_fixture, "who is woken runs on the thread that woke it, and so do those that it wakes") {
  trace first, second;
  const auto b = runner(true, {}, second);
  const auto a = runner(true, b, first);
  while (second.count() < 2) // the round that made `a` sure reached it
    std::this_thread::yield();
  for (int round = 0; round < 100; ++round) {
    until_asleep(a);
    until_asleep(b);
    bool ran = false;
    post_and_run(a, inline_host::caller, deferred{[&] { ran = true; }});
    REQUIRE(ran);
    REQUIRE(first.was_last_here());
    REQUIRE(second.was_last_here());
  }
}

TEST_CASE_METHOD(system_fixture, "who may not be run by others is run by the scheduler") {
  trace plain, of_transport;
  for (const bool is_inline : {false, true}) {
    auto& seen = is_inline ? of_transport : plain;
    const auto who = runner(is_inline, {}, seen);
    for (int i = 0; i < 100; ++i) {
      until_asleep(who);
      std::promise<void> done;
      post_and_run(who, is_inline ? inline_host::transport : inline_host::caller, deferred{[&] { done.set_value(); }});
      done.get_future().wait();
    }
    CHECK_FALSE(seen.was_ever_here());
  }
}

TEST_CASE_METHOD(system_fixture, "what must not be done on a stack is done elsewhere, and one run does not nest") {
  trace seen, inner_seen;
  const auto inner = runner(true, {}, inner_seen);
  const auto outer = runner(true, {}, seen);
  until_asleep(inner);
  until_asleep(outer);
  std::promise<place> done;
  std::atomic<bool> inner_ran = false;
  bool nested = true;
  post_and_run(outer, inline_host::caller, deferred{[&] {
                 inline_execution::current()->elsewhere([&] { done.set_value(std::this_thread::get_id()); });
                 post_and_run(inner, inline_host::caller, deferred{[&] { inner_ran = true; }});
                 nested = inner_ran && inner_seen.was_last_here();
               }});
  CHECK(seen.was_last_here());
  CHECK_FALSE(nested);
  CHECK(done.get_future().get() != std::this_thread::get_id());
  while (!inner_ran)
    std::this_thread::yield();
}

TEST_CASE_METHOD(system_fixture, "an actor that throws or quits while others run it ends as it would otherwise") {
  trace seen;
  for (int i = 0; i < 200; ++i) {
    const auto who = runner(true, {}, seen);
    caf::scoped_actor self{system};
    self->monitor(who);
    post_and_run(who, inline_host::caller, stargate::induced_crash{"on purpose"});
    self->receive([&](const caf::down_msg& m) { CHECK(m.reason == caf::sec::runtime_error); });
  }
}

TEST_CASE_METHOD(system_fixture, "threads that wake the same actors at once run each of them one after the other") {
  trace first, second;
  const auto b = runner(true, {}, second);
  const auto a = runner(true, b, first);
  while (second.count() < 2)
    std::this_thread::yield();
  constexpr int threads = 4, each = 2'000;
  std::atomic<int> ran = 0;
  std::vector<std::thread> callers;
  for (int t = 0; t < threads; ++t)
    callers.emplace_back([&] {
      for (int i = 0; i < each; ++i)
        post_and_run(a, inline_host::caller, deferred{[&] { ++ran; }});
    });
  for (auto& c : callers)
    c.join();
  while (ran < threads * each)
    std::this_thread::yield();
  CHECK(second.count() == std::size_t{threads} * each + 2);
}
