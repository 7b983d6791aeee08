// A tree as a part of an actor program: requests, actors that receive, consume-transform-produce, trees below one's own
// supervisors, each under faults.
#include "integration/proxy.hpp"
#include "integration/tests/support.hpp"

#include <algorithm>
#include <optional>
#include <set>

using namespace stargate;
using namespace stargate::compat;
using namespace stargate::integration;
using list = std::vector<std::string>;

namespace {

/// On a scheduler of one thread: whoever blocks it blocks everything.
struct actors_fixture : fixture {
  topic_name out = fresh_topic("out");

  actors_fixture() : fixture{1} {}
};

/// What a producing actor is answered. @par Threads any thread
class tally {
public:
  void note(const std::string& payload, const caf::error& why = {}) {
    const std::lock_guard guard{mutex_};
    auto& into = !why ? stored_ : code_of(why) == errc::outcome_unknown ? unknown_ : refused_;
    doubles_ += into.insert(payload).second ? 0 : 1;
  }
  [[nodiscard]] std::size_t all() const {
    const std::lock_guard guard{mutex_};
    return stored_.size() + refused_.size() + unknown_.size();
  }
  [[nodiscard]] std::size_t doubles() const {
    const std::lock_guard guard{mutex_};
    return doubles_;
  }
  [[nodiscard]] std::set<std::string> stored() const {
    const std::lock_guard guard{mutex_};
    return stored_;
  }
  [[nodiscard]] std::set<std::string> refused() const {
    const std::lock_guard guard{mutex_};
    return refused_;
  }

private:
  mutable std::mutex mutex_;
  std::set<std::string> stored_, refused_, unknown_;
  std::size_t doubles_ = 0;
};

/// Produces so many messages by demand: it asks for room, and sends as many as it is granted.
caf::behavior by_demand(caf::event_based_actor* self, const tree& t, const registry_key& key, std::size_t count,
                        const std::shared_ptr<tally>& seen, const std::shared_ptr<std::atomic<std::size_t>>& calls) {
  auto left = std::make_shared<std::size_t>(count);
  return behave(self, {}, [=](wait_for_room ask) {
    request(self, t.whereis(key), 30s, ask)
      .then(
        [=](room r) {
          for (; r.messages > 0 && *left > 0; --r.messages, --*left) {
            ++*calls;
            const auto payload = std::to_string(*left);
            request(self, t.whereis(key), 30s, publish{{.payload = payload}})
              .then([=](const message_id&) { seen->note(payload); },
                    [=](const caf::error& why) { seen->note(payload, why); });
          }
          if (*left > 0)
            send(self, caf::actor_cast<caf::actor>(self), ask);
        },
        [=](const caf::error&) { send_later(self, 20ms, ask); }); // the producer is being restarted
  });
}

} // namespace

TEST_CASE_METHOD(actors_fixture, "an actor that asks for room produces 3000 messages by 3000 requests", "[actors]") {
  auto o = base();
  o.producers = {{.topic = topic, .max_pending = 50}};
  const auto t = run_connected(std::move(o));
  const auto seen = std::make_shared<tally>();
  const auto calls = std::make_shared<std::atomic<std::size_t>>(0);
  const auto who = system.spawn(by_demand, t, producer, std::size_t{3000}, seen, calls);
  post(who, wait_for_room{50});
  CHECK(wait_until(within(60s), [&] { return seen->all() == 3000; }));
  CHECK(seen->stored().size() == 3000);
  CHECK(*calls == 3000);
  send_exit(who, caf::exit_reason::user_shutdown);
  CHECK(read(topic, 3000).size() == 3000);
}

TEST_CASE_METHOD(actors_fixture, "actors that produce are answered once for each message, whatever is killed",
                 "[actors]") {
  auto o = base();
  o.producers = {{.topic = topic, .max_pending = 100}};
  o.intensity = 1000;
  const auto t = run_connected(std::move(o));
  const auto seen = std::make_shared<tally>();
  const auto calls = std::make_shared<std::atomic<std::size_t>>(0);
  const auto who = system.spawn(by_demand, t, producer, std::size_t{5000}, seen, calls);
  post(who, wait_for_room{100});
  for (int i = 0; i < 10; ++i) {
    static_cast<void>(wait_until(within(2s), [&, before = seen->all()] { return seen->all() > before + 100; }));
    send_exit(t.whereis({i % 2 == 0 ? "producer" : "producer_ack", topic}), caf::exit_reason::kill);
  }
  CHECK(wait_until(within(60s), [&] { return seen->all() == *calls && *calls == 5000; }));
  send_exit(who, caf::exit_reason::user_shutdown);
  inbox in;
  auto r = base();
  r.readers = {{.topic = topic, .start = start_at::earliest(), .handler = in.keeps()}};
  const auto reading = run(std::move(r));
  const auto stored = seen->stored(), refused = seen->refused();
  std::set<std::string> there;
  CHECK(wait_until(within(30s), [&] {
    const auto all = in.payloads();
    there = {all.begin(), all.end()};
    return std::includes(there.begin(), there.end(), stored.begin(), stored.end());
  }));
  CHECK(std::none_of(refused.begin(), refused.end(), [&](const auto& payload) { return there.contains(payload); }));
  CHECK(stored.size() > 4000);
  CHECK(seen->doubles() == 0);
}

namespace {

/// Takes messages; ends badly after the first so many, as often as it has faults. What it keeps is what it answers.
caf::behavior sink(caf::event_based_actor* self, inbox* in, std::size_t after, std::atomic<int>* faults) {
  const auto seen = std::make_shared<std::size_t>(in->size());
  return behave(self, {}, [=](const message_batch& batch) {
    *seen += batch.messages.size();
    if (*seen > after && faults->fetch_sub(1) > 0)
      throw std::runtime_error{"at its wits' end"};
    for (const auto& m : batch.messages)
      in->keep(m);
    return dispositions{disposition::ack};
  });
}

} // namespace

TEST_CASE_METHOD(actors_fixture, "messages are delivered to a supervised actor by its name, and over its ends",
                 "[actors]") {
  const auto after = GENERATE(std::size_t{0}, std::size_t{300}, std::size_t{999}); // the very last ones, too
  list sent;
  for (int i = 0; i < 1000; ++i)
    sent.push_back(std::to_string(i));
  inbox in;
  std::atomic<int> faults = 3;
  const auto names = registry::spawn(system, "mine");
  const auto sup = spawn_supervisor(
    system,
    {.intensity = 100, .children = {{.id = "sink", .start = [&](const start_context& c) -> caf::expected<caf::actor> {
                                       auto who = c.system.spawn(sink, &in, after, &faults);
                                       post(names.actor(), register_name{"sink", who});
                                       return who;
                                     }}}});
  {
    auto o = base();
    o.intensity = 100;
    consumer_options c{.topic = topic, .subscription = "s", .processors = 2, .handler = deliver_to(names, "sink")};
    c.type = subscription_type::shared;
    c.position = initial_position::earliest;
    o.consumers = {c};
    const auto t = run_connected(std::move(o));
    store(sent);
    CHECK(wait_until(within(60s), [&] {
      const auto all = in.payloads();
      return std::set<std::string>(all.begin(), all.end()).size() == 1000 && faults <= 0;
    }));
  }
  CHECK(left_over() == 0);
  send_exit(sup, caf::exit_reason::user_shutdown);
  send_exit(names.actor(), caf::exit_reason::user_shutdown);
}

TEST_CASE_METHOD(actors_fixture, "consume, transform, produce: nothing is lost, and all is in order, over cuts",
                 "[actors]") {
  constexpr std::size_t count = 2000;
  std::vector<message> sent;
  for (std::size_t i = 0; i < count; ++i)
    sent.push_back({.payload = std::to_string(i)});
  store(std::move(sent));
  proxy between{broker().port};
  auto o = base();
  o.hosts = {{"127.0.0.1", between.port()}};
  o.producers = {{.topic = out, .max_pending = 50}};
  consumer_options c{.topic = topic,
                     .subscription = "s",
                     .handler = [to = producer_key(out)](const received_message& m, const handler_context& here) {
                       return here.tree.produce_and_ack(m, to, {.payload = "out " + m.payload});
                     }};
  c.position = initial_position::earliest;
  c.negative_ack_redelivery_delay = 100ms;
  o.consumers = {c};
  const auto t = run(std::move(o));
  inbox in;
  auto r = base();
  r.readers = {{.topic = out, .start = start_at::earliest(), .handler = in.keeps()}};
  const auto reading = run(std::move(r));
  const auto distinct = [&] {
    const auto all = in.payloads();
    return std::set<std::string>(all.begin(), all.end()).size();
  };
  for (int i = 0; i < 3; ++i) {
    static_cast<void>(wait_until(within(10s), [&, before = distinct()] { return distinct() > before + 200; }));
    between.cut();
  }
  CHECK(wait_until(within(90s), [&] { return distinct() == count; }));
  // The first time that each came is in order.
  std::set<std::string> before;
  std::size_t next = 0;
  for (const auto& payload : in.payloads())
    if (before.insert(payload).second)
      CHECK(payload == "out " + std::to_string(next++));
  CHECK_FALSE(t.stop());
  CHECK(left_over("s", subscription_type::exclusive) == 0);
}

TEST_CASE_METHOD(actors_fixture, "a tree that stops while it transforms leaves nothing half done", "[actors]") {
  constexpr std::size_t count = 3000;
  std::vector<message> sent;
  for (std::size_t i = 0; i < count; ++i)
    sent.push_back({.payload = std::to_string(i)});
  store(std::move(sent));
  std::atomic<std::size_t> handled = 0;
  {
    auto o = base();
    o.producers = {{.topic = out}};
    consumer_options c{.topic = topic,
                       .subscription = "s",
                       .processors = 2,
                       .handler = [&, to = producer_key(out)](const received_message& m, const handler_context& here) {
                         ++handled;
                         return here.tree.produce_and_ack(m, to, {.payload = m.payload});
                       }};
    c.position = initial_position::earliest;
    o.consumers = {c};
    const auto t = run(std::move(o));
    REQUIRE(wait_until(within(30s), [&] { return handled > 200; }));
    CHECK_FALSE(t.stop());
  }
  const auto left = left_over("s", subscription_type::exclusive);
  CHECK(left + handled == count);
  const auto there = read(out, handled);
  CHECK(there.size() == handled); // nothing twice
}

TEST_CASE_METHOD(actors_fixture, "a tree below one's own supervisor goes on after it was killed", "[actors]") {
  auto o = base();
  o.name = "embedded";
  o.producers = {{.topic = topic}};
  const auto sup = spawn_supervisor(system, {.intensity = 10, .children = {tree_spec(o)}});
  const auto key = producer_key(topic, "embedded");
  REQUIRE(wait_until(within(20s), [&] { return static_cast<bool>(find_tree(system, "embedded")); }));
  REQUIRE_FALSE(find_tree(system, "embedded").wait_ready(30s));
  CHECK(find_tree(system, "embedded").produce(key, "before"));
  const auto first = find_tree(system, "embedded").supervisor();
  send_exit(first, caf::exit_reason::kill);
  REQUIRE(wait_until(within(20s), [&] {
    const auto t = find_tree(system, "embedded");
    return t && t.supervisor() != first;
  }));
  CHECK(
    wait_until(within(30s), [&] { return static_cast<bool>(find_tree(system, "embedded").produce(key, "after")); }));
  send_exit(sup, caf::exit_reason::user_shutdown);
  CHECK(wait_until(within(20s), [&] { return !find_tree(system, "embedded"); }));
  CHECK(read(topic, 2) == list{"before", "after"});
}

TEST_CASE_METHOD(actors_fixture, "events tell of a cut and of what comes after it", "[actors]") {
  proxy between{broker().port};
  auto o = base();
  o.hosts = {{"127.0.0.1", between.port()}};
  o.producers = {{.topic = topic}};
  std::mutex mutex;
  list seen;
  bool attempts_told = true;
  auto t = run(std::move(o));
  t.subscribe([&](const event& e) {
    const std::lock_guard guard{mutex};
    seen.emplace_back(name_of(e.what));
    attempts_told = attempts_told && (e.what != event::kind::disconnected || e.next_attempt);
  });
  REQUIRE_FALSE(t.wait_ready(30s));
  between.cut();
  CHECK(wait_until(within(30s), [&] {
    const std::lock_guard guard{mutex};
    return std::count(seen.begin(), seen.end(), "connected") >= 1
           && std::count(seen.begin(), seen.end(), "disconnected") >= 1 && seen.back() == "connected";
  }));
  CHECK_FALSE(t.stop());
  CHECK(wait_until(within(10s), [&] {
    const std::lock_guard guard{mutex};
    return seen.back() == "stopped" && attempts_told;
  }));
}

TEST_CASE_METHOD(actors_fixture, "a producer that is restarted on request goes on, and loses nothing", "[actors]") {
  auto o = base();
  o.producers = {{.topic = topic}};
  const auto t = run_connected(std::move(o));
  std::atomic<std::size_t> stored = 0, failed = 0;
  std::size_t handed = 0;
  for (int round = 0; round < 5; ++round) {
    for (int i = 0; i < 100; ++i, ++handed)
      t.produce(producer, {.payload = std::to_string(handed)},
                [&](const caf::expected<message_id>& a) { ++(a ? stored : failed); });
    CHECK_FALSE(t.restart(producer));
  }
  CHECK(wait_until(within(30s), [&] { return stored + failed == handed; }));
  CHECK(stored == handed); // it drains
  CHECK(read(topic, handed).size() == handed);
}
