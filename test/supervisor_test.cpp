#include "test/supervisor_fixture.hpp"

#include <algorithm>

using namespace stargate;
using namespace stargate::compat;
using namespace stargate::test;
using fixture = supervisor_fixture;

TEST_CASE_METHOD(fixture, "children start in order and stop in reverse") {
  begin(strategy::one_for_one, {spec("a"), spec("b"), spec("c")});
  CHECK(started());
  CHECK(trace == list{"start a", "start b", "start c"});
  stop();
  CHECK(trace == list{"end c", "end b", "end a"});
  CHECK(has_ended());
  CHECK(is_normal_exit(end));
}

TEST_CASE_METHOD(fixture, "one_for_one restarts the one that ended") {
  begin(strategy::one_for_one, {spec("a"), spec("b"), spec("c")});
  end_child("b", crash);
  CHECK(trace == list{"end b", "start b"});
  CHECK(alive() == list{"a", "b", "c"});
  CHECK(info("b").restarts == 1);
  CHECK(describe(info("b").last_exit) == "handler failed: boom");
  CHECK(info("a").restarts == 0);
}

TEST_CASE_METHOD(fixture, "one_for_all stops all in reverse and starts all in order") {
  begin(strategy::one_for_all, {spec("a"), spec("b"), spec("c")});
  end_child("b", crash);
  CHECK(trace == list{"end b", "end c", "end a", "start a", "start b", "start c"});
  CHECK(answer_of<children>(sup, which_children{})->restarts == 1);
}

TEST_CASE_METHOD(fixture, "rest_for_one restarts it and those after it") {
  begin(strategy::rest_for_one, {spec("a"), spec("b"), spec("c")});
  end_child("b", crash);
  CHECK(trace == list{"end b", "end c", "start b", "start c"});
  CHECK(info("a").restarts == 0);
}

TEST_CASE_METHOD(fixture, "a child killed by force is restarted, and the supervisor lives") {
  begin(strategy::one_for_one, {spec("a"), spec("b")});
  kill_child("a");
  CHECK(trace == list{"end a", "start a"});
  CHECK(alive() == list{"a", "b"});
}

TEST_CASE_METHOD(fixture, "a child that throws is restarted, and its words are kept") {
  begin(strategy::one_for_one, {spec("a")});
  post(now["a"], string{"the words"});
  run();
  CHECK(alive() == list{"a"});
  CHECK(describe(info("a").last_exit) == "exception: the words");
}

TEST_CASE_METHOD(fixture, "a permanent child is restarted even when it ended well") {
  begin(strategy::one_for_one, {spec("a")});
  end_child("a", shut);
  CHECK(trace == list{"end a", "start a"});
}

TEST_CASE_METHOD(fixture, "a transient child is not restarted when it ended well, but kept") {
  begin(strategy::one_for_one, {spec("a", restart::transient), spec("b")});
  end_child("a", shut);
  CHECK(trace == list{"end a"});
  CHECK(info("a").state == child_state::stopped);
  CHECK(answer_of<found_child>(sup, restart_child{"a"}));
  end_child("a", crash);
  CHECK(trace == list{"end a", "start a"});
}

TEST_CASE_METHOD(fixture, "a temporary child is never restarted and goes with its specification") {
  begin(strategy::one_for_all, {spec("a", restart::temporary), spec("b"), spec("t", restart::temporary)});
  end_child("a", crash);
  CHECK(trace == list{"end a"});
  CHECK(alive() == list{"b", "t"});
  end_child("b", crash); // its strategy stops t, too, and does not start it again
  CHECK(trace == list{"end b", "end t", "start b"});
  CHECK(alive() == list{"b"});
}

TEST_CASE_METHOD(fixture, "more restarts than the intensity end the supervisor, and its children with it") {
  begin(strategy::one_for_one, {spec("a"), spec("b")}, 2);
  end_child("a", crash);
  end_child("a", crash);
  CHECK(alive() == list{"a", "b"});
  end_child("a", crash);
  CHECK(trace == list{"end a", "end b"});
  CHECK(has_ended());
  CHECK(is_of<exit_code>(end));
  CHECK(is_normal_exit(end)); // shutdown, as OTP's
  CHECK(describe(end).find("handler failed: boom") != string::npos);
}

TEST_CASE_METHOD(fixture, "restarts further apart than the period go on for ever") {
  begin(strategy::one_for_one, {spec("a")}, 1);
  for (int i = 0; i < 10; ++i) {
    advance(6s);
    end_child("a", crash);
    CHECK(alive() == list{"a"});
  }
  end_child("a", crash);
  CHECK(has_ended());
}

TEST_CASE_METHOD(fixture, "an intensity of zero ends with the first failure") {
  begin(strategy::one_for_one, {spec("a")}, 0);
  end_child("a", crash);
  CHECK(has_ended());
}

TEST_CASE_METHOD(fixture, "a start that fails stops the earlier ones in reverse and ends the supervisor") {
  failures["c"] = 1;
  begin(strategy::one_for_one, {spec("a"), spec("b"), spec("c"), spec("d")});
  CHECK(trace == list{"start a", "start b", "fail c", "end b", "end a"});
  CHECK(has_ended());
  CHECK(describe(end).find("'c'") != string::npos);
  CHECK(describe(end).find("no luck") != string::npos);
}

TEST_CASE_METHOD(fixture, "a start function that throws is a start that fails") {
  auto bad = spec("b");
  bad.start = [](const start_context&) -> caf::expected<caf::actor> { throw std::runtime_error{"thrown at start"}; };
  begin(strategy::one_for_one, {spec("a"), bad});
  CHECK(has_ended());
  CHECK(describe(end).find("thrown at start") != string::npos);
}

TEST_CASE_METHOD(fixture, "a restart that fails is tried again, and every attempt counts") {
  begin(strategy::one_for_one, {spec("a"), spec("b")}, 3);
  failures["a"] = 2;
  end_child("a", crash);
  CHECK(trace == list{"end a", "fail a", "fail a", "start a"});
  CHECK(alive() == list{"a", "b"});
  failures["a"] = 9;
  end_child("a", crash);
  CHECK(has_ended());
}

TEST_CASE_METHOD(fixture, "with rest_for_one, what could not be restarted is tried again with those after it") {
  begin(strategy::rest_for_one, {spec("a"), spec("b"), spec("c")});
  failures["b"] = 1;
  end_child("a", crash);
  CHECK(trace == list{"end a", "end c", "end b", "start a", "fail b", "start b", "start c"});
}

TEST_CASE_METHOD(fixture, "a child that ignores its shutdown is killed when its time is over") {
  auto stubborn = spec("b", restart::permanent, manner::ignores_exit);
  stubborn.shutdown = shutdown{2s};
  begin(strategy::one_for_one, {spec("a"), stubborn, spec("c")});
  stop();
  CHECK(trace == list{"end c"});
  advance(1999ms);
  CHECK(trace == list{"end c"});
  advance(1ms);
  CHECK(trace == list{"end c", "end b", "end a"});
  CHECK(has_ended());
}

TEST_CASE_METHOD(fixture, "brutal_kill does not ask") {
  auto stubborn = spec("a", restart::permanent, manner::ignores_exit);
  stubborn.shutdown = shutdown::brutal_kill();
  begin(strategy::one_for_one, {stubborn});
  caf::error how;
  now["a"]->attach_functor([&](const caf::error& why) { how = why; });
  stop();
  CHECK(trace == list{"end a"});
  CHECK(has_ended());
  CHECK(how == caf::exit_reason::kill);
  auto obedient = spec("b");
  obedient.shutdown = shutdown::brutal_kill();
  begin(strategy::one_for_one, {obedient});
  now["b"]->attach_functor([&](const caf::error& why) { how = why; });
  how = {};
  stop();
  CHECK(how == caf::exit_reason::kill);
}

TEST_CASE_METHOD(fixture, "a child that does not even react to a kill is given up") {
  caf::scoped_actor hanging{system()}; // it never looks at its mailbox
  auto s = spec("a");
  s.start = [&](const start_context&) -> caf::expected<caf::actor> { return caf::actor_cast<caf::actor>(hanging); };
  s.shutdown = shutdown::brutal_kill();
  begin({.children = {spec("b"), s}, .kill_timeout = 3s});
  stop();
  advance(2999ms);
  CHECK(trace.empty());
  advance(1ms);
  CHECK(trace == list{"end b"});
  CHECK(has_ended());
}

TEST_CASE_METHOD(fixture, "a supervisor below may take as long as it likes to stop") {
  auto below = spec("a", restart::permanent, manner::ignores_exit);
  below.type = child_type::supervisor;
  begin(strategy::one_for_one, {below});
  stop();
  advance(1min);
  CHECK(trace.empty());
  send_exit(now.at("a"), caf::exit_reason::kill);
  CHECK(has_ended());
}

TEST_CASE_METHOD(fixture, "infinity waits for as long as it takes") {
  auto stubborn = spec("a", restart::permanent, manner::ignores_exit);
  stubborn.shutdown = shutdown::infinity();
  begin(strategy::one_for_one, {stubborn});
  stop();
  advance(100h);
  CHECK_FALSE(has_ended());
  end_child("a", shut);
  CHECK(has_ended());
}

TEST_CASE_METHOD(fixture, "several children that end together are each restarted") {
  begin(strategy::one_for_one, {spec("a"), spec("b"), spec("c")});
  post(now["c"], crash);
  post(now["a"], crash);
  run();
  CHECK(alive() == list{"a", "b", "c"});
  CHECK(info("a").restarts + info("c").restarts == 2);
}

TEST_CASE_METHOD(fixture, "with one_for_all, children that end together are restarted together") {
  begin(strategy::one_for_all, {spec("a"), spec("b"), spec("c")});
  trace.clear();
  post(now["c"], crash);
  post(now["a"], crash);
  run();
  CHECK(alive() == list{"a", "b", "c"});
  CHECK(std::count(trace.begin(), trace.end(), "start b") == 1);
}

TEST_CASE_METHOD(fixture, "children are added, terminated, restarted and deleted while it runs") {
  begin(strategy::one_for_one, {spec("a")});
  CHECK(answer_of<found_child>(sup, start_child{spec("b")})->who == now["b"]);
  CHECK(code(answer_of<found_child>(sup, start_child{spec("b")})) == errc::child_running);
  CHECK(code(answer_of<found_child>(sup, restart_child{"b"})) == errc::child_running);
  CHECK(code(answer_of<child_done>(sup, delete_child{"b"})) == errc::child_running);
  CHECK(answer_of<child_done>(sup, terminate_child{"b"}));
  CHECK(code(answer_of<found_child>(sup, start_child{spec("b")})) == errc::child_present);
  CHECK(alive() == list{"a"});
  CHECK(answer_of<found_child>(sup, restart_child{"b"}));
  CHECK(alive() == list{"a", "b"});
  CHECK(answer_of<child_done>(sup, terminate_child{"b"}));
  CHECK(answer_of<child_done>(sup, delete_child{"b"}));
  CHECK(code(answer_of<child_done>(sup, terminate_child{"b"})) == errc::child_not_found);
  CHECK(code(answer_of<found_child>(sup, restart_child{"b"})) == errc::child_not_found);
  CHECK(code(answer_of<child_done>(sup, delete_child{"b"})) == errc::child_not_found);
  CHECK(code(answer_of<found_child>(sup, start_child{{}})) == errc::invalid_child_spec);
  failures["c"] = 1;
  CHECK(code(answer_of<found_child>(sup, start_child{spec("c")})) == errc::start_failed);
  CHECK(answer_of<child_counts>(sup, count_children{})->specs == 1);
}

TEST_CASE_METHOD(fixture, "a duplicate id is refused") {
  begin(strategy::one_for_one, {spec("a"), spec("a")});
  CHECK(has_ended());
  CHECK(describe(end).find("'a' stands twice") != string::npos);
  CHECK(trace.empty());
}

TEST_CASE_METHOD(fixture, "a nested supervisor starts its children before the next sibling starts") {
  supervisor_options inner{.name = "inner", .children = {spec("x"), spec("y")}};
  begin(strategy::one_for_one, {spec("a"), supervisor_spec("inner", inner), spec("b")});
  CHECK(started());
  CHECK(trace == list{"start a", "start x", "start y", "start b"});
  const auto counts = answer_of<child_counts>(sup, count_children{});
  CHECK(counts->supervisors == 1);
  CHECK(counts->workers == 2);
  CHECK(counts->active == 3);
  stop();
  CHECK(trace == list{"end b", "end y", "end x", "end a"});
}

TEST_CASE_METHOD(fixture, "a nested supervisor that gives up is its parent's to decide about") {
  supervisor_options inner{.name = "inner", .intensity = 0, .children = {spec("x")}};
  begin(strategy::one_for_one, {supervisor_spec("permanent", inner)});
  end_child("x", crash);
  CHECK(trace == list{"end x", "start x"});
  CHECK(info("permanent").restarts == 1);
}

TEST_CASE_METHOD(fixture, "a transient nested supervisor that gives up stays down and leaves its siblings alone") {
  supervisor_options inner{.name = "inner", .intensity = 0, .children = {spec("x")}};
  begin(strategy::one_for_one, {supervisor_spec("inner", inner, restart::transient), spec("a")});
  end_child("x", crash);
  CHECK(info("inner").state == child_state::stopped);
  CHECK(alive() == list{"a"});
}

TEST_CASE_METHOD(fixture, "no orphan survives a supervisor that is killed") {
  supervisor_options inner{.name = "inner", .children = {spec("x"), spec("y")}};
  begin(strategy::one_for_one, {spec("a"), supervisor_spec("inner", inner)});
  trace.clear();
  send_exit(sup, caf::exit_reason::kill);
  run();
  std::sort(trace.begin(), trace.end());
  CHECK(trace == list{"end a", "end x", "end y"});
}

TEST_CASE_METHOD(fixture, "a child that has to report is waited for") {
  auto slow = spec("a");
  slow.start_timeout = 3s;
  begin(strategy::one_for_one, {slow, spec("b")});
  CHECK(trace == list{"start a"});
  CHECK(info("a").state == child_state::starting);
  advance(2s);
  post(sup, child_started{now["a"]});
  run();
  CHECK(trace == list{"start a", "start b"});
  CHECK(started());
}

TEST_CASE_METHOD(fixture, "each child that has to report has its own time, and reports for itself only") {
  auto first = spec("a"), second = spec("b");
  first.start_timeout = second.start_timeout = 3s;
  begin(strategy::one_for_one, {first, second});
  advance(2s);
  post(sup, child_started{now["a"]});
  run();
  CHECK(trace == list{"start a", "start b"});
  post(sup, child_started{now["a"]});
  advance(2s); // more than the first's time
  CHECK(info("b").state == child_state::starting);
  CHECK_FALSE(started());
  post(sup, child_started{now["b"]});
  CHECK(started());
}

TEST_CASE_METHOD(fixture, "each child's time to report ends when it is due, whatever those before it left of theirs") {
  auto first = spec("a"), second = spec("b");
  first.start_timeout = 3s;
  const auto given = GENERATE(1s, 3s, 10s);
  second.start_timeout = given;
  begin(strategy::one_for_one, {first, second});
  advance(2s);
  post(sup, child_started{now["a"]});
  run();
  REQUIRE(trace == list{"start a", "start b"});
  advance(given - 10ms);
  CHECK(trace == list{"start a", "start b"});
  CHECK_FALSE(has_ended());
  advance(10ms);
  CHECK(trace == list{"start a", "start b", "end b", "end a"});
  CHECK(has_ended());
}

TEST_CASE_METHOD(fixture, "a child keeps since when it is in its state") {
  begin(strategy::one_for_one, {spec("a")});
  const auto before = info("a").since;
  advance(2s);
  CHECK(info("a").since == before);
  end_child("a", crash);
  CHECK(info("a").since - before == 2s);
}

TEST_CASE_METHOD(fixture, "who is told of a supervisor that gives up is told why its last child ended") {
  caf::error why;
  begin({.intensity = 0, .children = {spec("a")}, .on_report = [&](const supervisor_report& r) {
           if (r.what == supervisor_report::event::gave_up)
             why = r.why;
         }});
  end_child("a", crash);
  CHECK(has_ended());
  CHECK(describe(why) == "handler failed: boom");
}

TEST_CASE_METHOD(fixture, "who has to report is not started any more when a stop has come") {
  begin(strategy::one_for_one, {spec("a")});
  auto slow = spec("b");
  slow.start_timeout = 1h;
  auto pending = request(self().ptr(), sup, 1h, start_child{slow});
  auto plain = request(self().ptr(), sup, 1h, start_child{spec("c")});
  stop();
  CHECK(trace == list{"start c", "end c", "end a"});
  errc seen = errc::none;
  std::move(pending).receive([](found_child&) {}, [&](caf::error& e) { seen = code_of(e); });
  CHECK(seen == errc::start_failed);
  std::move(plain).receive([](found_child&) {}, [](caf::error& e) { FAIL(describe(e)); });
}

TEST_CASE_METHOD(fixture, "who asks for the children in his turn is told when what was asked before is done") {
  begin(strategy::one_for_one, {spec("a")});
  auto slow = spec("b");
  slow.start_timeout = 1h;
  auto start = request(self().ptr(), sup, 1h, start_child{slow});
  auto in_turn = request(self().ptr(), sup, 1h, which_children{.in_turn = true});
  run();
  CHECK(info("b").state == child_state::starting); // who does not is told at once
  end_child("b", crash);
  std::size_t seen = 0;
  std::move(in_turn).receive([&](children& c) { seen = c.list.size(); }, [](caf::error& e) { FAIL(describe(e)); });
  CHECK(seen == 1);
  std::move(start).receive([](found_child&) { FAIL("it has failed"); }, [](caf::error&) {});

  auto stubborn = spec("c", restart::permanent, manner::ignores_exit);
  REQUIRE(answer_of<found_child>(sup, start_child{stubborn}));
  send_exit(sup, caf::exit_reason::user_shutdown);
  run();
  REQUIRE(info("c").state == child_state::stopping);
  auto late = request(self().ptr(), sup, 1h, which_children{.in_turn = true});
  advance(10s);
  errc why = errc::none;
  std::move(late).receive([](children&) {}, [&](caf::error& e) { why = code_of(e); });
  CHECK(why == errc::stopping);
}

TEST_CASE_METHOD(fixture, "a child that does not report in time is killed, and has not started") {
  auto slow = spec("a", restart::permanent, manner::ignores_exit);
  slow.start_timeout = 3s;
  begin(strategy::one_for_one, {slow, spec("b")});
  advance(3s);
  CHECK(trace == list{"start a", "end a"});
  CHECK(has_ended());
  CHECK(describe(end).find("start timed out") != string::npos);
}

TEST_CASE_METHOD(fixture, "a child that ends before it reports has not started") {
  auto slow = spec("a");
  slow.start_timeout = 3s;
  begin(strategy::one_for_one, {slow});
  end_child("a", crash);
  CHECK(has_ended());
  CHECK(describe(end).find("handler failed: boom") != string::npos);
}

TEST_CASE_METHOD(fixture, "a supervisor that is stopped while a child starts does not wait for it") {
  auto slow = spec("b");
  slow.start_timeout = 1h;
  begin(strategy::one_for_one, {spec("a"), slow, spec("c")});
  stop();
  CHECK(trace == list{"end b", "end a"});
  CHECK(has_ended());
  CHECK_FALSE(started());
}

TEST_CASE_METHOD(fixture, "requests to a supervisor on its way out are answered") {
  auto stubborn = spec("a", restart::permanent, manner::ignores_exit);
  stubborn.shutdown = shutdown{2s};
  begin(strategy::one_for_one, {stubborn});
  stop();
  auto pending = request(self().ptr(), sup, 1h, start_child{spec("b")});
  advance(2s);
  errc seen = errc::none;
  std::move(pending).receive([](found_child&) { FAIL("started"); }, [&](caf::error& e) { seen = code_of(e); });
  CHECK(seen == errc::stopping);
}

TEST_CASE_METHOD(fixture, "a normal exit message of somebody is no reason to end") {
  begin(strategy::one_for_one, {spec("a")});
  send_exit(sup, {});
  run();
  CHECK(alive() == list{"a"});
}

// -- what OTP has beyond restarting ------------------------------------------------

TEST_CASE_METHOD(fixture, "an empty handle from a start function is nothing to run, and no failure") {
  auto idle = spec("a");
  idle.start = [](const start_context&) -> caf::expected<caf::actor> { return caf::actor{}; };
  auto gone = idle;
  gone.id = "t";
  gone.restart = restart::temporary;
  begin(strategy::one_for_one, {idle, gone, spec("b")});
  CHECK(started());
  CHECK(info("a").state == child_state::stopped);
  CHECK(all().size() == 2);
  const auto found = answer_of<found_child>(sup, restart_child{"a"});
  REQUIRE(found);
  CHECK_FALSE(found->who);
}

TEST_CASE_METHOD(fixture,
                 "a start function that returns an actor that has ended already is restarted, and that counts") {
  auto dead = spec("a");
  dead.start = [this](const start_context& c) -> caf::expected<caf::actor> {
    trace.push_back("start a");
    auto who = c.system.spawn([](caf::event_based_actor* self) { self->quit(crash); });
    send_exit(who, caf::exit_reason::kill);
    return who;
  };
  begin(strategy::one_for_one, {dead}, 2);
  CHECK(trace == list{"start a", "start a", "start a"});
  CHECK(has_ended());
}

TEST_CASE_METHOD(fixture, "the end of any significant child shuts down") {
  auto s = spec("a", restart::transient);
  s.significant = true;
  begin({.auto_shutdown = auto_shutdown::any_significant, .children = {s, spec("b")}});
  end_child("a", crash);
  CHECK(alive() == list{"a", "b"});
  end_child("a", shut);
  CHECK(trace == list{"end a", "end b"});
  CHECK(has_ended());
  CHECK(is_normal_exit(end));
  CHECK(describe(end).find("'a'") != string::npos);
}

TEST_CASE_METHOD(fixture, "the last significant child that ends shuts down, one that is terminated does not") {
  auto a = spec("a", restart::transient), b = spec("b", restart::temporary), c = spec("c", restart::transient);
  a.significant = b.significant = c.significant = true;
  begin({.auto_shutdown = auto_shutdown::all_significant, .children = {a, b, c, spec("d")}});
  end_child("a", shut);
  end_child("b", crash);
  CHECK(alive() == list{"c", "d"});
  CHECK(answer_of<child_done>(sup, terminate_child{"c"}));
  CHECK_FALSE(has_ended());
  CHECK(answer_of<found_child>(sup, restart_child{"c"}));
  end_child("c", shut);
  CHECK(has_ended());
}

TEST_CASE("wrong specifications are refused, each for its reason") {
  const auto fault = [](supervisor_options o) {
    o.name = "s";
    return describe(check(o));
  };
  child_spec good;
  good.id = "a";
  good.start = [](const start_context&) -> caf::expected<caf::actor> { return caf::actor{}; };
  const auto with = [&](auto change) {
    auto spec = good;
    change(spec);
    return spec;
  };
  CHECK(fault({.children = {good}}) == "normal");
  CHECK(fault({.children = {with([](auto& s) { s.id = ""; })}}).find("needs an id") != string::npos);
  CHECK(fault({.children = {with([](auto& s) { s.start = nullptr; })}}).find("start function") != string::npos);
  CHECK(fault({.children = {good, good}}).find("'a' stands twice") != string::npos);
  CHECK(fault({.period = 0s, .children = {good}}).find("period") != string::npos);
  CHECK(fault({.children = {with([](auto& s) { s.shutdown = shutdown{-1ms}; })}}).find("negative shutdown")
        != string::npos);
  CHECK(fault({.children = {with([](auto& s) { s.start_timeout = -1ms; })}}).find("start time-out") != string::npos);
  const auto significant = with([](auto& s) { s.significant = true; });
  CHECK(fault({.children = {significant}}).find("permanent") != string::npos);
  const auto transient = with([](auto& s) {
    s.significant = true;
    s.restart = restart::transient;
  });
  CHECK(fault({.children = {transient}}).find("auto_shutdown is never") != string::npos);
  CHECK(fault({.auto_shutdown = auto_shutdown::any_significant, .children = {transient}}) == "normal");
  CHECK(fault({.strategy = strategy::simple_one_for_one}).find("one template") != string::npos);
  const auto other = with([](auto& s) { s.id = "b"; });
  CHECK(fault({.strategy = strategy::simple_one_for_one, .children = {good, other}}).find("one template")
        != string::npos);
}

TEST_CASE_METHOD(dynamic_fixture, "children of a template are started with an argument, and restarted with the same") {
  begin(strategy::simple_one_for_one, {model()});
  CHECK(trace.empty());
  CHECK(add("x") == now["x"]);
  CHECK(add("y") == now["y"]);
  CHECK(trace == list{"start x", "start y"});
  end_child("x", crash);
  CHECK(trace == list{"end x", "start x"});
  CHECK(alive() == list{"model#1", "model#2"});
  const auto counts = answer_of<child_counts>(sup, count_children{});
  CHECK(counts->specs == 1);
  CHECK(counts->workers == 2);
}

TEST_CASE_METHOD(dynamic_fixture, "children of a template are terminated by their actor, and forgotten") {
  begin(strategy::simple_one_for_one, {model(restart::transient)});
  const auto x = add("x");
  CHECK(answer_of<child_done>(sup, terminate_dynamic_child{x}));
  CHECK(all().empty());
  CHECK(answer_of<child_done>(sup, terminate_dynamic_child{x})); // OTP, too, says ok of one that is gone
  CHECK(code(answer_of<child_done>(sup, terminate_dynamic_child{me()})) == errc::child_not_found);
  add("y");
  end_child("y", shut);
  CHECK(all().empty());
  CHECK(code(answer_of<child_done>(sup, terminate_child{"model"})) == errc::simple_one_for_one);
  CHECK(code(answer_of<found_child>(sup, restart_child{"model"})) == errc::simple_one_for_one);
  CHECK(code(answer_of<child_done>(sup, delete_child{"model"})) == errc::simple_one_for_one);
  CHECK(code(answer_of<found_child>(sup, start_child{spec("z")})) == errc::simple_one_for_one);
  CHECK(answer_of<child_spec>(sup, get_child_spec{"model"}));
}

TEST_CASE_METHOD(dynamic_fixture, "few children or many: who was one before it was restarted is none any more") {
  const int count = GENERATE(3, 8, 9, 40);
  begin(strategy::simple_one_for_one, {model()});
  for (int i = 0; i < count; ++i)
    add(std::to_string(i));
  const auto last = std::to_string(count - 1);
  const auto was = now.at(last);
  end_child(last, crash);
  const auto is = now.at(last);
  REQUIRE(is != was);
  CHECK(answer_of<child_done>(sup, terminate_dynamic_child{was}));
  CHECK(all().size() == static_cast<std::size_t>(count));
  CHECK_FALSE(compat::has_ended(is));
  CHECK(answer_of<child_done>(sup, terminate_dynamic_child{is}));
  CHECK(all().size() == static_cast<std::size_t>(count) - 1);
  CHECK(answer_of<child_done>(sup, terminate_dynamic_child{now.at("0")}));
  CHECK(all().size() == static_cast<std::size_t>(count) - 2);
}

TEST_CASE_METHOD(dynamic_fixture, "a template that changes is that of those who run, and of those to come") {
  begin(strategy::simple_one_for_one, {model()});
  add("x");
  supervisor_options to{.strategy = strategy::simple_one_for_one, .children = {model(restart::temporary)}};
  CHECK(answer_of<supervisor_changed>(sup, change_supervisor{to}));
  CHECK(answer_of<child_spec>(sup, get_child_spec{"model"})->restart == restart::temporary);
  add("y");
  end_child("x", crash);
  end_child("y", crash);
  CHECK(all().empty());
}

TEST_CASE_METHOD(dynamic_fixture, "children of a template are stopped all at once") {
  auto stubborn = model(restart::permanent, manner::ignores_exit);
  stubborn.shutdown = shutdown{2s};
  begin(strategy::simple_one_for_one, {stubborn});
  for (const auto* name : {"x", "y", "z"})
    add(name);
  stop();
  advance(1999ms);
  CHECK(trace.empty());
  advance(1ms); // one time for all of them
  CHECK(trace.size() == 3);
  CHECK(has_ended());
}

TEST_CASE_METHOD(fixture, "a supervisor without a template starts none of it") {
  begin(strategy::one_for_one, {spec("a")});
  CHECK(code(answer_of<found_child>(sup, start_dynamic_child{string{"x"}})) == errc::invalid_child_spec);
  CHECK(code(answer_of<child_done>(sup, terminate_dynamic_child{now["a"]})) == errc::child_not_found);
}

TEST_CASE_METHOD(fixture, "a specification is given on request") {
  begin(strategy::one_for_one, {spec("a", restart::transient)});
  const auto found = answer_of<child_spec>(sup, get_child_spec{"a"});
  REQUIRE(found);
  CHECK(found->restart == restart::transient);
  CHECK(code(answer_of<child_spec>(sup, get_child_spec{"b"})) == errc::child_not_found);
}

TEST_CASE_METHOD(fixture, "specifications change while it runs: who runs goes on and follows the new one") {
  begin(strategy::one_for_one, {spec("a"), spec("b"), spec("c")});
  supervisor_options to{.strategy = strategy::rest_for_one, .intensity = 5};
  to.children = {spec("n"), spec("b", restart::transient), spec("a")};
  CHECK(answer_of<supervisor_changed>(sup, change_supervisor{to}));
  list order;
  for (const auto& c : all())
    order.push_back(c.id);
  CHECK(order == list{"n", "b", "a", "c"});
  CHECK(info("n").state == child_state::stopped);
  end_child("b", crash);
  CHECK(trace == list{"end b", "end c", "end a", "start b", "start a", "start c"});
  to.period = 0s;
  CHECK(code(answer_of<supervisor_changed>(sup, change_supervisor{to})) == errc::invalid_child_spec);
  to.period = 5s;
  to.strategy = strategy::simple_one_for_one;
  to.children.resize(1);
  CHECK(code(answer_of<supervisor_changed>(sup, change_supervisor{to})) == errc::invalid_child_spec);
}

TEST_CASE_METHOD(fixture, "those behind a restart that failed are stopped until it is tried again") {
  begin(strategy::rest_for_one, {spec("a"), spec("b"), spec("c")}, 1);
  failures["a"] = 9;
  end_child("a", crash);
  CHECK(trace == list{"end a", "end c", "end b", "fail a"});
  CHECK(has_ended()); // the second attempt is one too many
}

TEST_CASE_METHOD(fixture, "what is asked of a supervisor that has not begun waits until it has started its children") {
  sup = spawn_supervisor(system(), {.children = {spec("a")}});
  auto first = request(self().ptr(), sup, 1h, start_child{spec("a")});
  auto second = request(self().ptr(), sup, 1h, start_child{spec("b")});
  run();
  std::move(first).receive([](found_child&) { FAIL("it is there"); },
                           [](caf::error& e) { CHECK(code_of(e) == errc::child_running); });
  std::move(second).receive([](found_child&) {}, [](caf::error& e) { FAIL(describe(e)); });
  CHECK(trace == list{"start a", "start b"});
}

TEST_CASE_METHOD(dynamic_fixture, "a template's children may be started before the supervisor has begun") {
  sup = spawn_supervisor(system(), {.strategy = strategy::simple_one_for_one, .children = {model()}});
  auto asked = request(self().ptr(), sup, 1h, start_dynamic_child{string{"x"}});
  run();
  std::move(asked).receive([](found_child&) {}, [](caf::error& e) { FAIL(describe(e)); });
  CHECK(trace == list{"start x"});
}
