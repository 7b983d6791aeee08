#include "test/deterministic.hpp"

#include <stargate/task.hpp>

#include <catch2/catch.hpp>

#include <optional>
#include <stdexcept>
#include <string>

using namespace stargate;
using namespace stargate::compat;
using namespace std::chrono_literals;

namespace {

template <class T>
std::optional<caf::expected<T>> result_of(const task<T>& t) {
  auto seen = std::make_shared<std::optional<caf::expected<T>>>();
  t.then([seen](const caf::expected<T>& r) { seen->emplace(r); });
  return *seen;
}

struct fixture : test::deterministic {
  caf::actor sup = spawn_supervisor(system(), task_supervisor({.own_thread = false, .max_children = 2}));
  ~fixture() {
    send_exit(sup, caf::exit_reason::user_shutdown);
    run();
  }
};

} // namespace

TEST_CASE_METHOD(fixture, "a task gives its result once, to all who ask") {
  const auto t = async(sup, [] { return std::string{"done"}; });
  int told = 0;
  t.then([&](const caf::expected<std::string>& r) { told += r && *r == "done" ? 1 : 100; });
  CHECK(told == 0);
  run();
  CHECK(told == 1);
  CHECK(**result_of(t) == "done");
  CHECK(answer_of<child_counts>(sup, count_children{})->active == 0); // it has gone
}

TEST_CASE_METHOD(fixture, "a task may give nothing, or an error") {
  const auto nothing = async(sup, [] {});
  const auto error = async(sup, []() -> caf::expected<int> { return make_error(errc::not_found, "no"); });
  run();
  CHECK(*result_of(nothing));
  CHECK(code_of(result_of(error)->error()) == errc::not_found);
}

TEST_CASE_METHOD(fixture, "a task that throws says what, and nothing is restarted") {
  int runs = 0;
  const auto t = async(sup, [&]() -> int {
    ++runs;
    throw std::runtime_error{"boom"};
  });
  run();
  CHECK(describe(result_of(t)->error()) == "exception: boom");
  CHECK(runs == 1);
  CHECK_FALSE(has_ended(sup));
}

TEST_CASE_METHOD(fixture, "one task too many is not run") {
  const auto one = async(sup, [] { return 1; });
  const auto two = async(sup, [] { return 2; });
  const auto three = async(sup, [] { return 3; });
  run();
  CHECK(**result_of(one) == 1);
  CHECK(**result_of(two) == 2);
  CHECK(code_of(result_of(three)->error()) == errc::start_failed);
  const auto four = async(sup, [] { return 4; }); // the others have gone
  run();
  CHECK(**result_of(four) == 4);
}

TEST_CASE_METHOD(fixture, "a task of a supervisor that has ended, or of none, is not run") {
  CHECK(code_of(result_of(async(caf::actor{}, [] { return 1; }))->error()) == errc::start_failed);
  send_exit(sup, caf::exit_reason::kill);
  run();
  const auto t = async(sup, [] { return 1; });
  run();
  CHECK(code_of(result_of(t)->error()) == errc::start_failed);
}

TEST_CASE_METHOD(fixture, "a task that is shut down before its turn has no result") {
  bool ran = false;
  const auto t = async(sup, [&] { ran = true; });
  t.shutdown();
  CHECK(is_normal_exit(result_of(t)->error()));
  run();
  CHECK(is_normal_exit(result_of(t)->error()));
  CHECK_FALSE(ran);
}

TEST_CASE_METHOD(fixture, "only tasks run below a supervisor of tasks") {
  const auto answer = answer_of<found_child>(sup, start_dynamic_child{std::string{"x"}});
  REQUIRE_FALSE(answer);
  CHECK(describe(answer.error()).find("stargate::async") != std::string::npos);
}

TEST_CASE("a task on its own thread is waited for, and given up when it is late") {
  caf::actor_system_config config;
  caf::actor_system system{config};
  const auto sup = spawn_supervisor(system, task_supervisor());
  CHECK(*async(sup, [] { return 6 * 7; }).await(10s) == 42);
  std::mutex mutex;
  std::condition_variable changed;
  bool go = false;
  const auto slow = async(sup, [&] {
    std::unique_lock lock{mutex};
    changed.wait(lock, [&] { return go; });
    return 1;
  });
  CHECK_FALSE(slow.yield(5ms));
  CHECK(code_of(slow.await(5ms).error()) == errc::timed_out);
  CHECK(is_normal_exit(slow.await(10s).error())); // its result counts no more
  {
    const std::lock_guard guard{mutex};
    go = true;
  }
  changed.notify_all();
  send_exit(sup, caf::exit_reason::user_shutdown);
  system.await_all_actors_done();
}

TEST_CASE("a task is not waited for on a thread of the scheduler") {
  caf::actor_system_config config;
  caf::actor_system system{config};
  const auto sup = spawn_supervisor(system, task_supervisor());
  caf::expected<int> inner = 0;
  const auto outer = spawn_supervisor(system, task_supervisor({.own_thread = false}));
  const auto t = async(outer, [&] { inner = async(sup, [] { return 1; }).await(10s); });
  CHECK(t.await(10s));
  CHECK(code_of(inner.error()) == errc::would_block);
  send_exit(sup, caf::exit_reason::user_shutdown);
  send_exit(outer, caf::exit_reason::user_shutdown);
  system.await_all_actors_done();
}
