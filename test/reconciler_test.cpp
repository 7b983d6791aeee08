// What is asked of a tree while the actor that does it is killed: as if it had not been.
#include "test/tree_fixture.hpp"

#include <stargate/caf.hpp>
#include <stargate/supervisor.hpp>
#include <stargate/vitals.hpp>

#include <catch2/catch.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <future>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

using namespace stargate;
using namespace stargate::compat;
using namespace stargate::test;

namespace {

/// A tree to which children are added that a test has in hand: when they have started, and when they end.
struct reconciled_tree : tree_fixture {
  std::mutex mutex;
  std::vector<std::string> told;
  tree t = begin();
  subscription hears = t.subscribe([this](const event& e) {
    if (e.what != event::kind::added && e.what != event::kind::removed && e.what != event::kind::drained)
      return;
    const std::lock_guard guard{mutex};
    told.push_back(std::string{name_of(e.what)} + " " + e.key);
  });

  tree begin() {
    auto o = nowhere();
    o.consumers.clear();
    o.intensity = 100;
    auto started = start(system, std::move(o));
    REQUIRE(started);
    return *started;
  }

  ~reconciled_tree() { CHECK_FALSE(t.stop()); }

  /// What has been told of producers, consumers and readers, such as "added producer/persistent/public/default/late".
  std::vector<std::string> told_now() {
    const std::lock_guard guard{mutex};
    return told;
  }

  /// An actor's end, and what it says to its supervisor, are the test's.
  struct in_hand {
    std::mutex mutex;
    std::vector<std::pair<caf::actor, caf::actor>> started; ///< With its supervisor.
    std::atomic<int> asked = 0;                             ///< How it is, though nobody said that it answers this.

    ~in_hand() { CHECK(asked == 0); }

    std::size_t starts() {
      const std::lock_guard guard{mutex};
      return started.size();
    }
    void await_start(std::size_t number) {
      await([&] { return starts() >= number; });
    }
    std::pair<caf::actor, caf::actor> last() {
      const std::lock_guard guard{mutex};
      return started.back();
    }
    void report_start() {
      const auto [who, supervisor] = last();
      post(supervisor, child_started{who});
    }
    void end(caf::error why) { post(last().first, std::move(why)); }
  };

  template <class Condition>
  static void await(Condition holds) {
    const auto until = std::chrono::steady_clock::now() + 30s;
    while (!holds()) {
      if (std::chrono::steady_clock::now() > until)
        FAIL("waited in vain");
      std::this_thread::yield();
    }
  }

  /// A child that ends when the test says so, and only then.
  static child_spec slow_to_end(const child_id& id, in_hand& children) {
    return {.id = id,
            .start = [&children](const start_context& c) -> caf::expected<caf::actor> {
              auto who = c.system.spawn([&children](caf::event_based_actor* self) -> caf::behavior {
                signal_handlers signals;
                signals.exit = [](const caf::actor_addr&, const caf::error&) {};
                return behave(
                  self, signals, [self](const caf::error& why) { self->quit(why); },
                  [self, &children](report_vitals) {
                    ++children.asked;
                    return vitals_of(self, 0);
                  });
              });
              const std::lock_guard guard{children.mutex};
              children.started.emplace_back(who, c.supervisor);
              return who;
            },
            .shutdown = shutdown::infinity()};
  }
  /// A child that has started when the test says so.
  static child_spec slow_to_start(const child_id& id, in_hand& children) {
    auto spec = slow_to_end(id, children);
    spec.shutdown = shutdown::brutal_kill();
    spec.start_timeout = 1min;
    return spec;
  }

  /// Kills the reconciler, and waits for the next.
  void kill_reconciler() {
    const auto before = t.registry().whereis("plan_default");
    REQUIRE(before);
    send_exit(before, caf::exit_reason::kill);
    await([&] {
      const auto now = t.registry().whereis("plan_default");
      return now && now != before;
    });
  }

  [[nodiscard]] std::optional<child_state> state_of(const child_id& id) const {
    for (const auto& e : t.inspect().entries)
      if (e.key == id)
        return e.state;
    return std::nullopt;
  }

  std::future<caf::error> add(child_spec spec) {
    return std::async(std::launch::async, [this, spec = std::move(spec)] { return t.add(spec); });
  }
  std::future<caf::error> remove(const child_id& id) {
    return std::async(std::launch::async, [this, id] { return t.remove(id); });
  }
  /// A change that has reached the plan: of two that are the same, one is refused at once.
  struct surely {
    std::array<std::future<caf::error>, 2> both;

    template <class Change>
    explicit surely(const Change& change)
      : both{std::async(std::launch::async, change), std::async(std::launch::async, change)} {
      await([&] {
        return std::any_of(both.begin(), both.end(),
                           [](auto& one) { return one.wait_for(0s) == std::future_status::ready; });
      });
    }
    /// @returns what the other one was answered
    caf::error made(errc refusal) {
      auto one = both[0].get(), other = both[1].get();
      if (code_of(one) != refusal)
        std::swap(one, other);
      CHECK(code_of(one) == refusal);
      return other;
    }
  };
};

} // namespace

TEST_CASE_METHOD(reconciled_tree, "what did not start while the reconciler was killed is started by the next") {
  in_hand children;
  auto added = add(slow_to_start("x", children));
  children.await_start(1);
  kill_reconciler();
  children.end(make_error(errc::not_found, "no luck"));
  children.await_start(2);
  CHECK(added.wait_for(0s) == std::future_status::timeout);
  children.report_start();
  CHECK_FALSE(added.get());
  CHECK(state_of("x") == child_state::running);
  CHECK(children.starts() == 2);
}

TEST_CASE_METHOD(reconciled_tree,
                 "what was asked of the supervisor before the reconciler was killed is done once, and told") {
  in_hand first, slow;
  const topic_name early{.topic = "early"}, late{.topic = "late"};
  REQUIRE_FALSE(t.add(slow_to_end("first", first)));
  REQUIRE_FALSE(t.add(slow_to_end("slow", slow)));
  REQUIRE_FALSE(t.add(producer_options{.topic = early}));
  auto before = remove("first"); // all that comes waits for its end, and is one reconciliation
  await([&] { return state_of("first") == child_state::stopping; });
  surely of_slow{[&] { return t.remove(child_id{"slow"}); }};
  surely of_early{[&] { return t.remove(producer_key(early)); }};
  surely of_late{[&] { return t.add(producer_options{.topic = late}); }};
  first.end({});
  await([&] { return state_of("slow") == child_state::stopping; });
  kill_reconciler(); // the rest is asked for, and not done
  slow.end({});
  CHECK_FALSE(before.get());
  CHECK_FALSE(of_late.made(errc::invalid_option));
  CHECK_FALSE(of_slow.made(errc::child_not_found));
  CHECK_FALSE(of_early.made(errc::child_not_found));
  await([&] { return told_now().size() >= 3; });
  auto all = told_now();
  std::sort(all.begin(), all.end());
  CHECK(all
        == std::vector<std::string>{"added producer/persistent/public/default/early",
                                    "added producer/persistent/public/default/late",
                                    "removed producer/persistent/public/default/early"});
}

TEST_CASE_METHOD(reconciled_tree,
                 "a temporary child that has ended is not started again when something else is added") {
  in_hand children;
  auto spec = slow_to_end("once", children);
  spec.restart = restart::temporary;
  REQUIRE_FALSE(t.add(spec));
  children.end({});
  await([&] { return !state_of("once"); });
  REQUIRE_FALSE(t.add(producer_options{.topic = {.topic = "late"}}));
  CHECK(children.starts() == 1);
  CHECK(code_of(t.remove("once")) == errc::child_not_found);
  CHECK_FALSE(t.add(spec)); // it can be added again
  CHECK(children.starts() == 2);
  children.end({});
  await([&] { return !state_of("once"); });
  send_exit(t.registry().whereis("topics_default"), caf::exit_reason::kill);
  kill_reconciler();
  REQUIRE_FALSE(t.add(producer_options{.topic = {.topic = "later"}}));
  CHECK(children.starts() == 2);
}

TEST_CASE_METHOD(reconciled_tree, "the id of a temporary child that has ended may be another's at once") {
  in_hand children;
  auto spec = slow_to_end("once", children);
  spec.restart = restart::temporary;
  REQUIRE_FALSE(t.add(spec));
  CHECK(code_of(t.add(spec)) == errc::child_present); // it runs
  for (std::size_t i = 2; i < 5; ++i) {
    children.end({});
    await([&] { return !state_of("once"); });
    CHECK_FALSE(t.add(spec));
    CHECK(children.starts() == i);
  }
  children.end({});
}

TEST_CASE_METHOD(reconciled_tree, "what could not be started is let go of") {
  const auto held = std::make_shared<int>(1);
  CHECK(code_of(t.add({.id = "x",
                       .start = [held](const start_context&) -> caf::expected<caf::actor> {
                         return make_error(errc::not_found, "no luck");
                       }}))
        == errc::start_failed);
  await([&] { return held.use_count() == 1; });
}
