#include "integration/tests/support.hpp"

#include <sys/resource.h>

#include <atomic>
#include <future>
#include <mutex>
#include <set>
#include <thread>
#include <tuple>

using namespace stargate;
using namespace stargate::integration;

TEST_CASE_METHOD(fixture, "payloads are bytes: empty, with NULs and of 700 KB they arrive as they were sent") {
  std::string every_byte;
  for (int i = 0; i < 256; ++i)
    every_byte += static_cast<char>(i);
  std::string big;
  while (big.size() < 700'000)
    big += every_byte;
  const std::vector<std::string> payloads{"", std::string("\0a\0", 3), every_byte, big};
  inbox consumed, read;
  auto o = with_producer();
  o.consumers = {consumer(consumed.keeps())};
  o.readers = with_reader(read.keeps()).readers;
  const auto t = run_connected(std::move(o));
  for (const auto& payload : payloads)
    REQUIRE(t.produce(producer, payload));
  REQUIRE(consumed.has(payloads.size()));
  REQUIRE(read.has(payloads.size()));
  CHECK((consumed.payloads() == payloads));
  CHECK((read.payloads() == payloads));
}

TEST_CASE_METHOD(fixture, "key, properties and time arrive with the message") {
  const auto before = std::chrono::system_clock::now() - 1min;
  store({{.payload = "a", .key = "k\"ü", .properties = {{"p", "1"}, {"q ü", "two\n"}}},
         keyed("only key", "b"),
         {.payload = "c"}});
  inbox in;
  const auto t = run(with_consumer(in.keeps()));
  REQUIRE(in.has(3));
  const auto all = in.all();
  CHECK(all[0].key == "k\"ü");
  CHECK(all[0].properties == properties{{"p", "1"}, {"q ü", "two\n"}});
  CHECK(all[0].publish_time > before);
  CHECK(all[0].publish_time < before + 10min);
  CHECK(all[0].topic() == topic);
  CHECK(all[1].key == "only key");
  CHECK_FALSE(all[2].key);
}

TEST_CASE_METHOD(fixture, "a blocking produce gives the id under which the message is stored") {
  const auto t = run_connected(with_producer());
  const auto id = t.produce(producer, "x");
  REQUIRE(id);
  inbox in;
  const auto reader = run(with_reader(in.keeps()));
  REQUIRE(in.has(1));
  CHECK(in.all()[0].id == *id);
}

TEST_CASE_METHOD(fixture, "a list answers for each message: stored under its id, or why not") {
  const auto t = run_connected(with_producer());
  const auto answers = t.produce(producer, std::vector<message>{{.payload = "1"},
                                                                {.payload = std::string(1'000'000, 'x')},
                                                                {.payload = "2"},
                                                                {.payload = "3", .key = "\xff"},
                                                                {.payload = "4"}});
  REQUIRE(answers.size() == 5);
  CHECK(code_of(answers[1].error()) == errc::message_too_large);
  CHECK(code_of(answers[3].error()) == errc::invalid_message);
  inbox in;
  const auto reader = run(with_reader(in.keeps()));
  REQUIRE(in.has(3));
  CHECK(in.payloads() == std::vector<std::string>{"1", "2", "4"});
  for (const int i : {0, 2, 4})
    CHECK(answers[static_cast<std::size_t>(i)]);
  CHECK(t.produce(producer, "the connection is still the same"));
  CHECK(t.inspect().restarts == 0);
}

TEST_CASE_METHOD(fixture, "a list longer than max_pending goes through, in order") {
  auto o = with_producer();
  o.producers[0].max_pending = 10;
  const auto t = run_connected(std::move(o));
  std::vector<message> messages;
  for (int i = 0; i < 1000; ++i)
    messages.push_back({.payload = std::to_string(i)});
  for (const auto& answer : t.produce(producer, std::move(messages)))
    REQUIRE(answer);
  inbox in;
  const auto reader = run(with_reader(in.keeps()));
  REQUIRE(in.has(1000));
  const auto payloads = in.payloads();
  for (std::size_t i = 0; i < 1000; ++i)
    REQUIRE(payloads[i] == std::to_string(i));
}

TEST_CASE_METHOD(fixture, "an asynchronous produce answers by callback, once for each message") {
  const auto t = run_connected(with_producer());
  std::mutex mutex;
  std::multiset<int> answered;
  std::set<std::string> ids;
  for (int i = 0; i < 500; ++i)
    t.produce(producer, message{.payload = std::to_string(i)}, [&, i](caf::expected<message_id> answer) {
      const std::lock_guard guard{mutex};
      answered.insert(i);
      if (answer)
        ids.insert(answer->value);
    });
  CHECK(wait_until(within(30s), [&] {
    const std::lock_guard guard{mutex};
    return answered.size() == 500;
  }));
  CHECK(ids.size() == 500);
  CHECK(std::set<int>(answered.begin(), answered.end()).size() == 500);
}

TEST_CASE_METHOD(fixture, "an asynchronous produce answers by message to an actor") {
  const auto t = run_connected(with_producer());
  caf::scoped_actor self{system};
  t.produce(producer, {.payload = "x", .context = "order 7"}, caf::actor_cast<caf::actor>(self));
  self->receive(
    [](const produced& p) {
      CHECK(p.context == "order 7");
      CHECK_FALSE(p.failure);
      CHECK_FALSE(p.id.value.empty());
    },
    caf::after(30s) >> [] { FAIL("no answer"); });
}

TEST_CASE_METHOD(fixture, "topics with a space, a slash or an umlaut work") {
  for (const auto* name : {"with space", "with/slash", "mit ümläut", "per%cent", "a+b&c=d?e#f"}) {
    INFO(name);
    topic = fresh_topic(name);
    producer = registry_key{topic};
    store(std::vector<std::string>{"x"});
    inbox in;
    const auto t = run(with_consumer(in.keeps()));
    REQUIRE(in.has(1));
    CHECK(in.all()[0].topic() == topic);
  }
}

TEST_CASE_METHOD(fixture, "a namespace that does not exist is refused by name, and leaves other topics alone") {
  auto o = with_producer();
  const topic_name wrong{"public", "no-such-namespace", "x"};
  o.producers.push_back({.topic = wrong, .send_timeout = 1s});
  const auto t = run(std::move(o));
  const auto why = t.wait_ready(30s);
  CHECK(code_of(why) == errc::not_found);
  CHECK(describe(why).find("persistent://public/no-such-namespace/x") != std::string::npos);
  const auto key = to_string(registry_key{"producer_sup", wrong});
  CHECK(wait_until(within(30s), [&] {
    for (const auto& e : t.inspect().entries)
      if (e.key == key)
        return e.state == child_state::stopped; // its supervisor gave up
    return false;
  }));
  CHECK(was_logged("giving up"));
  CHECK(t.produce(producer, "others go on"));
  const auto id = t.produce(registry_key{wrong}, "x");
  REQUIRE_FALSE(id);
  CHECK(code_of(id.error()) == errc::not_found); // at once, and with what the broker said
  CHECK(describe(id.error()).find("404") != std::string::npos);
}

TEST_CASE_METHOD(fixture, "stopping flushes what was handed over") {
  auto t = run_connected(with_producer());
  std::atomic<int> stored = 0, failed = 0;
  for (int i = 0; i < 900; ++i)
    t.produce(producer, message{.payload = "x"}, [&](caf::expected<message_id> a) { ++(a ? stored : failed); });
  CHECK_FALSE(t.stop());
  CHECK(stored == 900);
  CHECK(failed == 0);
  std::promise<errc> late;
  t.produce(producer, message{.payload = "x"},
            [&](caf::expected<message_id> a) { late.set_value(a ? errc::none : code_of(a.error())); });
  CHECK(late.get_future().get() == errc::stopping);
}

TEST_CASE_METHOD(fixture, "whoever produces may hold a lock that the functions which take receipts want") {
  const auto t = run_connected(with_producer());
  constexpr int threads = 3, rounds = 150;
  std::mutex held;
  std::atomic<int> good = 0, wrong = 0;
  std::atomic<bool> here = false; // an answer came on the stack of who produced
  std::vector<std::thread> callers;
  for (int n = 0; n < threads; ++n)
    callers.emplace_back([&] {
      for (int i = 0; i < rounds; ++i) {
        const auto caller = std::this_thread::get_id();
        {
          const std::lock_guard guard{held};
          for (const char* key : {"k", "\xff"}) // the second is refused at once, by whoever runs the acknowledger
            t.produce(producer, message{.payload = "x", .key = key}, [&, caller](caf::expected<message_id> a) {
              here = here || std::this_thread::get_id() == caller;
              const std::lock_guard inner{held};
              ++(a ? good : wrong);
            });
        }
        if (i % 3 == 0) // a pause in which all falls asleep, so that the next is carried by its caller
          std::ignore = t.produce(producer, "pause");
      }
    });
  for (auto& c : callers)
    c.join();
  REQUIRE(wait_until(within(30s), [&] { return good + wrong == 2 * threads * rounds; }));
  CHECK(good == threads * rounds);
  CHECK_FALSE(here);
}

TEST_CASE_METHOD(fixture, "a call that blocks wakes its caller, and hardly anybody else") {
  const auto t = run_connected(with_producer());
  constexpr int calls = 300;
  const auto waits = [] { // of all threads: each has been woken as often
    rusage used{};
    getrusage(RUSAGE_SELF, &used);
    return used.ru_nvcsw;
  };
  for (int i = 0; i < 20; ++i)
    REQUIRE(t.produce(producer, "warm"));
  const auto before = waits();
  for (int i = 0; i < calls; ++i)
    REQUIRE(t.produce(producer, "x"));
  const auto each = static_cast<double>(waits() - before) / calls;
  INFO(each << " waits a call");
  CHECK(each < 10); // two, idle threads included; 105 when the scheduler runs the actors, whose threads look for work
}
