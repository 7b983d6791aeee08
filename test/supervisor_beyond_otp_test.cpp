#include "test/supervisor_fixture.hpp"

using namespace stargate;
using namespace stargate::compat;
using namespace stargate::test;
using fixture = supervisor_fixture;

TEST_CASE_METHOD(fixture, "a child with a backoff waits twice as long each time, and anew once it has run") {
  auto a = spec("a");
  a.backoff = restart_backoff{100ms, 300ms};
  begin(strategy::one_for_one, {a, spec("b")}, 100);
  for (const auto wait : {100ms, 200ms, 300ms, 300ms}) {
    end_child("a", crash);
    CHECK(info("a").state == child_state::restarting);
    CHECK(alive() == list{"b"});
    advance(wait - 1ms);
    CHECK(trace == list{"end a"});
    advance(1ms);
    CHECK(trace == list{"end a", "start a"});
  }
  advance(300ms);
  end_child("a", crash);
  advance(100ms);
  CHECK(trace == list{"end a", "start a"});
  CHECK(info("a").restarts == 5);
}

TEST_CASE_METHOD(fixture, "a start that fails waits for its backoff too, and each counts for the intensity") {
  auto a = spec("a");
  a.backoff = restart_backoff{100ms, 1s};
  begin(strategy::one_for_one, {a}, 2);
  failures["a"] = 9;
  end_child("a", crash);
  advance(100ms);
  CHECK(trace == list{"end a", "fail a"});
  CHECK_FALSE(has_ended());
  advance(200ms);
  CHECK(trace == list{"end a", "fail a", "fail a"});
  CHECK(has_ended());
}

TEST_CASE_METHOD(fixture, "a child that waits for its backoff can be terminated, and its time then starts nobody") {
  auto a = spec("a");
  a.backoff = restart_backoff{100ms, 1s};
  begin(strategy::one_for_one, {a});
  end_child("a", crash);
  CHECK(code(answer_of<found_child>(sup, restart_child{"a"})) == errc::child_restarting);
  CHECK(answer_of<child_done>(sup, terminate_child{"a"}));
  advance(50ms);
  CHECK(trace == list{"end a"});
  CHECK(answer_of<found_child>(sup, restart_child{"a"})); // it runs, and dies again: only its second wait counts
  end_child("a", crash);
  advance(199ms);
  CHECK(trace == list{"end a"});
  advance(1ms);
  CHECK(trace == list{"end a", "start a"});
}

TEST_CASE_METHOD(fixture,
                 "those that are restarted with a child that has a backoff are stopped at once and wait with it") {
  auto b = spec("b");
  b.backoff = restart_backoff{100ms, 1s};
  begin(strategy::rest_for_one, {spec("a"), b, spec("c"), spec("d", restart::temporary)});
  end_child("b", crash);
  CHECK(trace == list{"end b", "end d", "end c"});
  CHECK(info("c").state == child_state::restarting);
  CHECK(answer_of<found_child>(sup, start_child{spec("e")})); // who comes meanwhile is not touched
  advance(100ms);
  CHECK(trace == list{"end b", "end d", "end c", "start e", "start b", "start c"});
  end_child("b", crash);
  trace.clear();
  end_child("a", crash); // its restart takes those along that wait
  CHECK(trace == list{"end a", "start a", "start b", "start c", "start e"});
  trace.clear();
  advance(1s);
  CHECK(trace.empty());
}

TEST_CASE_METHOD(fixture, "those that wait with a child are started also when that one is gone meanwhile") {
  auto a = spec("a");
  a.backoff = restart_backoff{100ms, 1s};
  begin(strategy::one_for_all, {a, spec("b"), spec("c")});
  end_child("a", crash);
  CHECK(answer_of<child_done>(sup, terminate_child{"a"}));
  CHECK(answer_of<child_done>(sup, delete_child{"a"}));
  CHECK(answer_of<child_done>(sup, terminate_child{"b"}));
  advance(100ms);
  CHECK(alive() == list{"c"});
}

TEST_CASE_METHOD(fixture, "a supervisor whose child waits for its backoff stops at once") {
  auto a = spec("a");
  a.backoff = restart_backoff{1h, 1h};
  begin(strategy::one_for_one, {a, spec("b")});
  end_child("a", crash);
  stop();
  CHECK(trace == list{"end b"});
  CHECK(has_ended());
}

TEST_CASE_METHOD(dynamic_fixture, "a supervisor of dynamic children has no more than it may") {
  begin({.strategy = strategy::simple_one_for_one, .children = {model()}, .max_children = 2});
  add("x");
  add("y");
  CHECK(code(answer_of<found_child>(sup, start_dynamic_child{string{"z"}})) == errc::max_children);
  CHECK(answer_of<child_done>(sup, terminate_dynamic_child{now.at("x")}));
  CHECK(answer_of<found_child>(sup, start_dynamic_child{string{"z"}}));
  supervisor_options to{.strategy = strategy::simple_one_for_one, .children = {model()}};
  CHECK(answer_of<supervisor_changed>(sup, change_supervisor{to}));
  CHECK(answer_of<found_child>(sup, start_dynamic_child{string{"u"}}));
}

TEST_CASE_METHOD(fixture, "a supervisor reports what happens to its children") {
  list said;
  auto o = supervisor_options{.intensity = 1, .children = {spec("a"), spec("t", restart::transient)}};
  o.on_report = [&](const supervisor_report& r) {
    CHECK(r.supervisor == "sup");
    said.push_back(string{name_of(r.what)} + " " + r.child + (r.why ? ": " + describe(r.why) : ""));
  };
  begin(std::move(o));
  CHECK(said == list{"started a", "started t"});
  said.clear();
  end_child("t", shut); // as it should
  CHECK(said.empty());
  failures["a"] = 1;
  end_child("a", crash);
  REQUIRE(said.size() == 3);
  CHECK(said[0] == "child terminated a: " + describe(crash));
  CHECK(said[1].find("start error a: start failed") == 0);
  CHECK(said[2].find("gave up a: ") == 0);
  CHECK(has_ended());
}

TEST_CASE_METHOD(fixture, "a supervisor reports a child that does not stop, or badly") {
  list said;
  auto stubborn = spec("s", restart::permanent, manner::ignores_exit);
  stubborn.shutdown = shutdown{10ms};
  auto o = supervisor_options{.children = {stubborn}};
  o.on_report = [&](const supervisor_report& r) { said.push_back(string{name_of(r.what)} + ": " + describe(r.why)); };
  begin(std::move(o));
  stop();
  advance(10ms);
  CHECK(said == list{"started: normal", "shutdown error: killed"});
}

TEST_CASE("a backoff and a bound of children are checked") {
  child_spec a{.id = "a", .start = [](const start_context&) -> caf::expected<caf::actor> { return caf::actor{}; }};
  const auto fault = [](supervisor_options o) { return describe(check(o)); };
  CHECK(fault({.children = {a}, .max_children = 1}).find("max_children is for simple_one_for_one") != string::npos);
  a.backoff = restart_backoff{0ms, 1s};
  CHECK(fault({.children = {a}}).find("backoff") != string::npos);
  a.backoff = restart_backoff{2s, 1s};
  CHECK(fault({.children = {a}}).find("backoff") != string::npos);
  a.backoff = restart_backoff{1s, 1s};
  CHECK(fault({.children = {a}}) == "normal");
}
