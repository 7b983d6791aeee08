#include "registry/name_table.hpp"
#include "test/deterministic.hpp"

#include <stargate/registry.hpp>
#include <stargate/vitals.hpp>

#include <catch2/catch.hpp>

#include <thread>

using namespace stargate;
using namespace stargate::compat;
using namespace std::chrono_literals;

namespace {

caf::behavior idle(caf::event_based_actor*) {
  return {[](const std::string&) {}};
}

struct fixture : test::deterministic {
  stargate::registry r = registry::spawn(system(), "reg_test");

  caf::actor worker() { return system().spawn(idle); }
  caf::expected<registered> enter(const std::string& name, const caf::actor& who,
                                  std::chrono::milliseconds wait = 0ms) {
    return answer_of<registered>(r.actor(), register_name{name, who, wait});
  }
  void kill(const caf::actor& who) {
    send_exit(who, caf::exit_reason::kill);
    run();
  }
  /// Ends an actor; the registry has not looked at the message that says so.
  void kill_unheard(const caf::actor& who) {
    send_exit(who, caf::exit_reason::kill);
    run_only(who);
  }
  auto claim(const std::string& name, const caf::actor& who, std::any value = {}) {
    auto pending = request(self().ptr(), r.actor(), 1h, register_name{name, who, 1min, std::move(value)});
    run();
    return pending;
  }
  template <class Answer, class Pending>
  static errc outcome(Pending& pending) {
    errc seen = errc::none;
    std::move(pending).receive([](Answer&) {}, [&](caf::error& e) { seen = code_of(e); });
    return seen;
  }
  ~fixture() { send_exit(r.actor(), caf::exit_reason::user_shutdown); }
};

template <class T>
errc code(const caf::expected<T>& e) {
  return e ? errc::none : code_of(e.error());
}

} // namespace

TEST_CASE_METHOD(fixture, "a registered actor is found, by message and from any thread") {
  const auto w = worker();
  REQUIRE(enter("a", w));
  CHECK(answer_of<found>(r.actor(), whereis_name{"a"})->who == w);
  caf::actor seen;
  std::thread{[&] { seen = r.whereis("a"); }}.join();
  CHECK(seen == w);
  CHECK(code(answer_of<found>(r.actor(), whereis_name{"b"})) == errc::not_registered);
  CHECK_FALSE(r.whereis("b"));
  kill(w);
}

TEST_CASE_METHOD(fixture, "a second registration of a living key is refused with the holder's name") {
  const auto first = worker();
  const auto second = worker();
  REQUIRE(enter("a", first));
  const auto refused = enter("a", second);
  REQUIRE(code(refused) == errc::already_registered);
  CHECK(describe(refused.error()).find(display_name(first)) != std::string::npos);
  CHECK(r.whereis("a") == first);
  CHECK(enter("a", first)); // by the holder itself it is no conflict
  kill(first);
  kill(second);
}

TEST_CASE_METHOD(fixture, "an actor that dies is gone at once") {
  const auto w = worker();
  REQUIRE(enter("a", w));
  REQUIRE(enter("b", w));
  self()->monitor(w);
  send_exit(w, caf::exit_reason::kill);
  REQUIRE(take<caf::down_msg>());
  CHECK_FALSE(r.whereis("a"));
  CHECK(r.select().entries.empty());
  CHECK(enter("a", worker()));
  kill(r.whereis("a"));
}

TEST_CASE("a name whose holder has ended is free even before the registry hears of it") {
  test::deterministic d;
  internal::name_table table{"t"};
  const auto old = d.system().spawn(idle);
  const auto young = d.system().spawn(idle);
  CHECK_FALSE(table.insert("a", old).holder);
  CHECK(table.insert("a", young).holder == old);
  send_exit(old, caf::exit_reason::kill);
  d.run();
  CHECK_FALSE(table.whereis("a"));
  CHECK(table.insert("a", young).replaced == old);
  // The late down message of the predecessor erases nothing of the successor.
  CHECK(table.erase_all(old.address()).empty());
  CHECK(table.whereis("a") == young);
  CHECK(table.holders() == std::vector{young});
  table.clear();
  send_exit(young, caf::exit_reason::kill);
}

TEST_CASE("the dead have no value to change, and their names go all at once") {
  test::deterministic d;
  internal::name_table table{"t"};
  const auto w = d.system().spawn(idle);
  CHECK_FALSE(table.insert("a", w).holder);
  CHECK_FALSE(table.insert("b", w).holder);
  CHECK(table.update("a", w, 1));
  send_exit(w, caf::exit_reason::kill);
  d.run();
  CHECK_FALSE(table.update("a", w, 2));
  CHECK(table.erase_all(w.address()).size() == 2);
  CHECK(table.holders().empty());
}

TEST_CASE_METHOD(fixture, "unregistering frees the name") {
  const auto w = worker();
  REQUIRE(enter("a", w));
  CHECK(answer_of<registered>(r.actor(), unregister_name{"a"}));
  CHECK(code(answer_of<registered>(r.actor(), unregister_name{"a"})) == errc::not_registered);
  CHECK_FALSE(r.whereis("a"));
  CHECK(answer_of<names>(r.actor(), keys_of{w})->entries.empty());
  kill(w);
}

TEST_CASE_METHOD(fixture, "who waits for a key is answered when it appears") {
  auto pending = request(self().ptr(), r.actor(), 1h, await_name{"late", 5s});
  advance(4s);
  const auto w = worker();
  REQUIRE(enter("late", w));
  caf::actor seen;
  std::move(pending).receive([&](found& f) { seen = f.who; }, [](caf::error& e) { FAIL(describe(e)); });
  CHECK(seen == w);
  CHECK(answer_of<found>(r.actor(), await_name{"late", 0ms})->who == w);
  kill(w);
}

TEST_CASE_METHOD(fixture, "who waits for a key that does not appear is told when the time is over") {
  auto pending = request(self().ptr(), r.actor(), 1h, await_name{"never", 5s});
  advance(5s);
  errc seen = errc::none;
  std::move(pending).receive([](found&) { FAIL("found"); }, [&](caf::error& e) { seen = code_of(e); });
  CHECK(seen == errc::timed_out);
}

TEST_CASE_METHOD(fixture, "a registration may wait for the holder to go") {
  const auto old = worker();
  const auto young = worker();
  REQUIRE(enter("a", old));
  auto pending = request(self().ptr(), r.actor(), 1h, register_name{"a", young, 5s});
  advance(1s);
  CHECK(r.whereis("a") == old);
  kill(old);
  bool entered = false;
  std::move(pending).receive([&](registered&) { entered = true; }, [](caf::error& e) { FAIL(describe(e)); });
  CHECK(entered);
  CHECK(r.whereis("a") == young);
  kill(young);
}

TEST_CASE_METHOD(fixture, "a registration that waited in vain is refused") {
  const auto old = worker();
  const auto young = worker();
  REQUIRE(enter("a", old));
  auto pending = request(self().ptr(), r.actor(), 1h, register_name{"a", young, 5s});
  advance(5s);
  errc seen = errc::none;
  std::move(pending).receive([](registered&) { FAIL("entered"); }, [&](caf::error& e) { seen = code_of(e); });
  CHECK(seen == errc::already_registered);
  kill(old);
  kill(young);
}

TEST_CASE_METHOD(fixture, "who waits for a name is told of that name only, and in its own time") {
  auto slow = request(self().ptr(), r.actor(), 1h, await_name{"x", 10s});
  auto quick = request(self().ptr(), r.actor(), 1h, await_name{"y", 3s});
  const auto w = worker();
  REQUIRE(enter("z", w));
  advance(3s);
  CHECK(outcome<found>(quick) == errc::timed_out);
  REQUIRE(enter("x", w));
  CHECK(outcome<found>(slow) == errc::none);
  kill(w);
}

TEST_CASE_METHOD(fixture, "a name that becomes free goes to the first who waits for it, with its value") {
  const auto old = worker(), other = worker(), elsewhere = worker(), first = worker(), second = worker();
  REQUIRE(enter("a", old));
  REQUIRE(enter("b", other));
  auto for_b = claim("b", elsewhere);
  auto one = claim("a", first, 7);
  auto two = claim("a", second);
  kill(old);
  CHECK(outcome<registered>(one) == errc::none);
  CHECK(r.whereis("a") == first);
  const auto now = r.lookup("a");
  REQUIRE(now.size() == 1);
  const auto* value = std::any_cast<int>(&now[0].value);
  CHECK((value != nullptr && *value == 7));
  CHECK(r.whereis("b") == other);
  CHECK(answer_of<registered>(r.actor(), unregister_name{"a"}));
  CHECK(outcome<registered>(two) == errc::none);
  CHECK(r.whereis("a") == second);
  kill(other);
  CHECK(outcome<registered>(for_b) == errc::none);
  const auto third = worker();
  auto three = claim("a", third);
  CHECK(answer_of<registered>(r.actor(), unregister_name{"a"}));
  CHECK(r.whereis("a") == third);
  CHECK(outcome<registered>(three) == errc::none);
  kill(third);
  for (const auto& who : {elsewhere, first, second})
    kill(who);
}

TEST_CASE_METHOD(fixture, "who waits for a name and ends is forgotten") {
  const auto old = worker(), gone = worker();
  REQUIRE(enter("a", old));
  auto claimed = claim("a", gone);
  CHECK(answer_of<vitals>(r.actor(), report_vitals{})->in_flight == 1);
  kill(gone);
  CHECK(answer_of<vitals>(r.actor(), report_vitals{})->in_flight == 0);
  CHECK(outcome<registered>(claimed) == errc::start_failed); // whoever asked for it
  kill(old);
}

TEST_CASE_METHOD(fixture, "unregistering one who has ended meanwhile finds nobody") {
  const auto w = worker();
  REQUIRE(enter("a", w));
  auto pending = request(self().ptr(), r.actor(), 1h, unregister_name{"a"});
  kill_unheard(w); // its end is behind the request
  run();
  CHECK(outcome<registered>(pending) == errc::not_registered);
}

TEST_CASE_METHOD(fixture, "who waits is told when the registry ends") {
  const auto holder = worker();
  const auto next = worker();
  REQUIRE(enter("a", holder));
  caf::scoped_actor self{system()};
  std::vector<caf::error> told;
  const auto tell = [&](caf::error& why) { told.push_back(std::move(why)); };
  auto claims = request(self.ptr(), r.actor(), 1h, register_name{"a", next, 1h});
  auto waits = request(self.ptr(), r.actor(), 1h, await_name{"b", 1h});
  run();
  kill(r.actor());
  std::move(claims).receive([](const registered&) {}, tell);
  std::move(waits).receive([](const found&) {}, tell);
  CHECK(told == std::vector<caf::error>(2, caf::make_error(caf::sec::request_receiver_down)));
  kill(holder);
  kill(next);
}

TEST_CASE_METHOD(fixture, "an actor that has ended cannot be registered") {
  const auto w = worker();
  kill(w);
  CHECK(code(enter("a", w)) == errc::start_failed);
}

TEST_CASE_METHOD(fixture, "names are listed by any of their parts") {
  const auto w = worker();
  for (const auto* name : {"producer/x/t1/n/a", "producer/x/t2/n/a", "consumer/x/t1/n/a", "top"})
    REQUIRE(enter(name, w));
  const auto names_for = [&](name_pattern pattern) {
    std::vector<std::string> result;
    const auto found = answer_of<names>(r.actor(), select_names{std::move(pattern)});
    for (const auto& entry : found->entries)
      result.push_back(entry.name);
    return result;
  };
  using list = std::vector<std::string>;
  const auto any = std::nullopt;
  CHECK(names_for({}) == list{"consumer/x/t1/n/a", "producer/x/t1/n/a", "producer/x/t2/n/a", "top"});
  CHECK(names_for({"producer", any, any, any, any}) == list{"producer/x/t1/n/a", "producer/x/t2/n/a"});
  CHECK(names_for({any, any, "t1", any, "a"}) == list{"consumer/x/t1/n/a", "producer/x/t1/n/a"});
  CHECK(names_for({any}) == list{"top"});
  CHECK(names_for({any, any, any, any, "b"}).empty());
  CHECK(answer_of<names>(r.actor(), keys_of{w})->entries.size() == 4);
  kill(w);
}

// -- what Elixir's Registry has beyond names ---------------------------------------

namespace {

int number(const std::any& value) {
  const auto* n = std::any_cast<int>(&value);
  return n == nullptr ? -1 : *n;
}

struct shared_names : test::deterministic {
  stargate::registry r = registry::spawn(system(), "topics", {.keys = registry_keys::duplicate});
  caf::actor a = system().spawn(idle), b = system().spawn(idle);

  void enter(const std::string& name, const caf::actor& who, int value) {
    REQUIRE(answer_of<registered>(r.actor(), register_name{name, who, 0ms, value}));
  }
  std::vector<int> numbers(const std::string& name) {
    std::vector<int> result;
    for (const auto& entry : r.lookup(name))
      result.push_back(number(entry.value));
    return result;
  }
  ~shared_names() {
    for (const auto& who : {a, b, r.actor()})
      send_exit(who, caf::exit_reason::kill);
  }
};

using numbers_list = std::vector<int>;

} // namespace

TEST_CASE_METHOD(shared_names, "a duplicate registry lets any number of actors hold a name, and one several times") {
  enter("news", a, 1);
  enter("news", b, 2);
  enter("news", a, 3);
  CHECK(numbers("news") == numbers_list{1, 2, 3});
  CHECK(r.whereis("news") == a);
  CHECK(r.count() == 3);
  CHECK(r.keys(a) == std::vector<std::string>{"news", "news"});
  CHECK(r.values("news", a).size() == 2);
  CHECK(r.select({"news"}).entries.size() == 3);
}

TEST_CASE_METHOD(shared_names, "the dead are not seen, also before the registry hears of their end") {
  enter("news", a, 1);
  enter("news", b, 2);
  send_exit(a, caf::exit_reason::kill);
  run_only(a);
  CHECK(numbers("news") == numbers_list{2});
  CHECK(r.whereis("news") == b);
  CHECK(r.select({"news"}).entries.size() == 1);
  CHECK(r.count() == 1);
  CHECK(r.keys(a).empty());
  run();
  CHECK(numbers("news") == numbers_list{2});
  CHECK(r.count() == 1);
}

TEST_CASE_METHOD(shared_names, "an actor unregisters its own entries, and its death takes all of them") {
  enter("news", a, 1);
  enter("news", b, 2);
  enter("weather", b, 3);
  CHECK(answer_of<registered>(r.actor(), unregister_name{"news", a}));
  CHECK(numbers("news") == numbers_list{2});
  CHECK(code(answer_of<registered>(r.actor(), unregister_name{"news", a})) == errc::not_registered);
  send_exit(b, caf::exit_reason::kill);
  run();
  CHECK(numbers("news").empty());
  CHECK(r.count() == 0);
}

TEST_CASE_METHOD(shared_names, "a value is replaced by who holds the name only") {
  enter("news", a, 1);
  CHECK(answer_of<registered>(r.actor(), update_value{"news", a, 7}));
  CHECK(numbers("news") == numbers_list{7});
  CHECK(code(answer_of<registered>(r.actor(), update_value{"news", b, 8})) == errc::not_registered);
  enter("news", a, 1);
  enter("news", b, 2);
  CHECK(answer_of<registered>(r.actor(), update_value{"news", a, 9})); // of several, all
  CHECK(numbers("news") == numbers_list{9, 9, 2});
}

TEST_CASE_METHOD(shared_names, "dispatch reaches everybody under a name, and is not called for nobody") {
  enter("news", a, 1);
  enter("news", b, 2);
  int calls = 0, reached = 0;
  const auto deliver = [&](const std::vector<registration>& everybody) {
    ++calls;
    reached += static_cast<int>(everybody.size());
  };
  CHECK(r.dispatch("news", deliver) == 2);
  CHECK(r.dispatch("nothing", deliver) == 0);
  CHECK(calls == 1);
  CHECK(reached == 2);
}

TEST_CASE_METHOD(fixture, "a registry has metadata of its own") {
  CHECK_FALSE(r.meta("limit").has_value());
  CHECK(answer_of<registered>(r.actor(), put_meta{"limit", 5}));
  CHECK(number(r.meta("limit")) == 5);
  CHECK(answer_of<registered>(r.actor(), put_meta{"limit", {}}));
  CHECK_FALSE(r.meta("limit").has_value());
}

TEST_CASE("listeners are told of registrations, of names given up, and of deaths") {
  test::deterministic d;
  const auto r = registry::spawn(d.system(), "heard", {.listeners = {d.me()}});
  const auto w = d.system().spawn(idle), x = d.system().spawn(idle);
  const auto told = [&] {
    const auto m = d.take<name_registered>();
    REQUIRE(m);
    CHECK(m->registry == "heard");
    return m->entry;
  };
  const auto told_gone = [&] {
    const auto m = d.take<name_unregistered>();
    REQUIRE(m);
    return std::pair{m->name, m->who};
  };
  REQUIRE(d.answer_of<registered>(r.actor(), register_name{"a", w, 0ms, 1}));
  auto entry = told();
  CHECK(entry.name == "a");
  CHECK(entry.who == w);
  CHECK(number(entry.value) == 1);
  REQUIRE(d.answer_of<registered>(r.actor(), unregister_name{"a"}));
  CHECK(told_gone() == std::pair{std::string{"a"}, w.address()});
  REQUIRE(d.answer_of<registered>(r.actor(), register_name{"b", w}));
  CHECK(told().name == "b");
  send_exit(w, caf::exit_reason::kill);
  CHECK(told_gone() == std::pair{std::string{"b"}, w.address()});
  REQUIRE(d.answer_of<registered>(r.actor(), register_name{"b", x}));
  CHECK(told().who == x);
  send_exit(x, caf::exit_reason::kill);
  send_exit(r.actor(), caf::exit_reason::kill);
}

TEST_CASE("listeners are told in order of who takes over a name, and nothing of who never had it") {
  test::deterministic d;
  const auto r = registry::spawn(d.system(), "heard", {.listeners = {d.me()}});
  const auto old = d.system().spawn(idle), brief = d.system().spawn(idle), young = d.system().spawn(idle);
  REQUIRE(d.answer_of<registered>(r.actor(), register_name{"a", old}));
  REQUIRE(d.take<name_registered>());
  post(r.actor(), register_name{"a", brief, 1min});
  post(r.actor(), register_name{"a", young, 1min});
  d.run();
  // Both have ended when the registry hears of the first.
  for (const auto& who : {old, brief}) {
    send_exit(who, caf::exit_reason::kill);
    d.run_only(who);
  }
  auto gone = d.take<name_unregistered>();
  REQUIRE(gone);
  CHECK(gone->who == old.address());
  auto come = d.take<name_registered>();
  REQUIRE(come);
  CHECK(come->entry.who == young);
  // The name is taken from one whose end is behind the registration.
  const auto last = d.system().spawn(idle);
  post(r.actor(), register_name{"a", last});
  send_exit(young, caf::exit_reason::kill);
  d.run_only(young);
  gone = d.take<name_unregistered>();
  REQUIRE(gone);
  CHECK(gone->who == young.address());
  come = d.take<name_registered>();
  REQUIRE(come);
  CHECK(come->entry.who == last);
  CHECK_FALSE(d.take<name_unregistered>());
  for (const auto& who : {last, r.actor()})
    send_exit(who, caf::exit_reason::kill);
}

TEST_CASE_METHOD(fixture, "the names go with a registry, unless it keeps them for its successor") {
  const auto w = worker();
  REQUIRE(enter("a", w));
  kill(r.actor());
  CHECK_FALSE(r.whereis("a"));
  const auto first = registry::succeed(system(), {}, "kept", {});
  REQUIRE(answer_of<registered>(first.actor(), register_name{"a", w}));
  kill(first.actor());
  CHECK(first.whereis("a") == w);
  const auto second = registry::succeed(system(), first, "kept", {.listeners = {me()}});
  run();
  CHECK(second.whereis("a") == w);
  kill(w);
  const auto gone = take<name_unregistered>();
  REQUIRE(gone);
  CHECK(gone->who == w.address());
  second.clear();
  kill(second.actor());
}

TEST_CASE_METHOD(fixture, "many registries in one system keep their names apart") {
  const auto other = registry::spawn(system(), "other");
  const auto w = worker();
  REQUIRE(enter("a", w));
  CHECK_FALSE(other.whereis("a"));
  CHECK(answer_of<registered>(other.actor(), register_name{"a", w}));
  kill(w);
  CHECK(other.count() + r.count() == 0);
  send_exit(other.actor(), caf::exit_reason::kill);
}
