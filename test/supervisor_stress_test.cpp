// Many children, and many ends of them at random, on real threads: in the end every child is alive, and none twice.
#include <stargate/supervisor.hpp>

#include <catch2/catch.hpp>

#include <atomic>
#include <random>
#include <set>
#include <thread>

using namespace stargate;
using namespace stargate::compat;
using namespace std::chrono_literals;

namespace {

constexpr std::size_t children_count = 10'000;
constexpr std::size_t kills = 100'000;

/// How many incarnations of each child live, and how many ever did.
struct census {
  std::vector<std::atomic<int>> living = std::vector<std::atomic<int>>(children_count);
  std::atomic<int> most{0}; ///< Of one child at the same time.
  std::atomic<std::size_t> starts{0};

  void enters(std::size_t i) {
    ++starts;
    const int now = ++living[i];
    for (int seen = most; now > seen && !most.compare_exchange_weak(seen, now);) {
    }
  }
  void leaves(std::size_t i) { --living[i]; }
};

struct citizen {
  static inline const char* name = "citizen";
  caf::event_based_actor* const self;
  const std::shared_ptr<census> counted;
  const std::size_t number;

  citizen(caf::event_based_actor* of, std::shared_ptr<census> by, std::size_t as)
    : self{of},
      counted{std::move(by)},
      number{as} {
    counted->enters(number);
  }
  citizen(const citizen&) = delete;
  citizen& operator=(const citizen&) = delete;
  ~citizen() { counted->leaves(number); }

  caf::behavior make_behavior() {
    return behave(self, {}, [this](const caf::error& why) { self->quit(why); });
  }
};

} // namespace

TEST_CASE("10,000 children bear 100,000 kills: all alive in the end, none twice", "[stress]") {
  caf::actor_system_config config;
  caf::actor_system system{config};
  auto counted = std::make_shared<census>();

  supervisor_options o{.name = "many", .intensity = 10 * kills, .period = 3600s};
  for (std::size_t i = 0; i < children_count; ++i) {
    child_spec spec;
    spec.id = std::to_string(i);
    spec.start = [counted, i](const start_context& c) -> caf::expected<caf::actor> {
      return spawn_state<citizen>(c.system, counted, i);
    };
    o.children.push_back(std::move(spec));
  }
  caf::scoped_actor self{system};
  const auto sup = spawn_supervisor(system, std::move(o), caf::actor_cast<caf::actor>(self));
  self->monitor(sup);
  bool stands = false;
  self->receive([&](const child_started&) { stands = true; }, caf::after(60s) >> [] {});
  REQUIRE(stands);

  const auto snapshot = [&] {
    children found;
    request(self.ptr(), sup, 60s, which_children{})
      .receive([&](children& c) { found = std::move(c); }, [](const caf::error& e) { FAIL(describe(e)); });
    return found;
  };
  std::mt19937 random{42};
  std::size_t killed = 0;
  while (killed < kills) {
    const auto now = snapshot();
    REQUIRE(now.list.size() == children_count);
    for (std::size_t i = 0; i < children_count / 2 && killed < kills; ++i) {
      const auto& who = now.list[random() % now.list.size()].who;
      if (!who || has_ended(who))
        continue;
      if (random() % 2 == 0)
        send_exit(who, caf::exit_reason::kill);
      else
        post(who, make_error(errc::handler_failed, "boom"));
      ++killed;
    }
  }
  // Who answers has taken whatever was sent to it before: no end is under way that nobody has seen.
  for (const auto& c : snapshot().list)
    if (c.who)
      request(self.ptr(), c.who, 60s, deferred{[] {}}).receive([] {}, [](const caf::error&) {});
  const auto deadline = std::chrono::steady_clock::now() + 60s;
  const auto all_alive = [&] {
    const auto now = snapshot();
    return std::all_of(now.list.begin(), now.list.end(),
                       [](const child_info& c) { return c.state == child_state::running && !has_ended(c.who); });
  };
  while (!all_alive() && std::chrono::steady_clock::now() < deadline)
    std::this_thread::yield();

  const auto last = snapshot();
  std::set<caf::actor_id> distinct;
  for (const auto& c : last.list)
    if (c.who)
      distinct.insert(c.who.id());
  CHECK(distinct.size() == children_count);
  // Some were asked to end while they were ending already.
  CHECK(last.restarts > kills / 4);
  CHECK(last.restarts <= kills);
  CHECK(counted->most == 1);
  CHECK(counted->starts == children_count + last.restarts);

  send_exit(sup, caf::exit_reason::user_shutdown);
  bool ended = false;
  self->receive([&](const caf::down_msg&) { ended = true; }, caf::after(60s) >> [] {});
  CHECK(ended);
  for (auto& n : counted->living)
    REQUIRE(n == 0);
}
