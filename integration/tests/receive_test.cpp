#include "integration/tests/support.hpp"

#include <future>
#include <set>

using namespace stargate;
using namespace stargate::integration;

using list = std::vector<std::string>;

TEST_CASE_METHOD(fixture, "what was acknowledged does not come again") {
  store(list{"1", "2", "3"});
  {
    inbox in;
    const auto t = run(with_consumer(in.keeps()));
    REQUIRE(in.has(3));
    CHECK(in.payloads() == list{"1", "2", "3"});
  }
  CHECK(left_over() == 0);
}

TEST_CASE_METHOD(fixture, "what was continued comes again, unless it was acknowledged later") {
  store(list{"1", "2", "3"});
  {
    inbox in;
    const auto t = run(with_consumer(in.keeps(disposition::continue_)));
    REQUIRE(in.has(3));
    in.all()[1].acknowledge();
    // A stop drains: what the acknowledger has by then, the broker has.
  }
  CHECK(left_over() == 2);
}

TEST_CASE_METHOD(fixture, "what was refused is delivered again") {
  store(list{"1"});
  std::promise<std::uint32_t> second;
  std::atomic<int> count = 0;
  auto o = with_consumer([&](const received_message& m) {
    if (++count == 1)
      return disposition::nack;
    second.set_value(m.redelivery_count);
    return disposition::ack;
  });
  o.consumers[0].negative_ack_redelivery_delay = 500ms;
  const auto t = run(std::move(o));
  auto again = second.get_future();
  REQUIRE(again.wait_for(30s) == std::future_status::ready);
  CHECK(again.get() > 0);
}

TEST_CASE_METHOD(fixture, "a handler class gets its arguments and its context") {
  class greeter final : public message_handler {
  public:
    greeter(std::promise<handler_context>* told, std::string greeting) : told_{told}, greeting_{std::move(greeting)} {}
    void init(const handler_context& c) override { context_ = c; }
    disposition handle_message(const received_message&) override {
      context_.component += " " + greeting_;
      told_->set_value(context_);
      return disposition::ack;
    }

  private:
    std::promise<handler_context>* told_;
    std::string greeting_;
    handler_context context_;
  };
  store(list{"1"});
  std::promise<handler_context> told;
  const auto t = run(with_consumer(make_handler<greeter>(&told, std::string{"hello"})));
  auto context = told.get_future();
  REQUIRE(context.wait_for(30s) == std::future_status::ready);
  const auto c = context.get();
  CHECK(c.topic == topic);
  CHECK(c.component == "processor/s/0 hello");
}

TEST_CASE_METHOD(fixture, "a stateful handler counts over its messages") {
  store(list(50, "x"));
  std::atomic<int> most = 0;
  const auto t = run(with_consumer(stateful([] { return 0; },
                                            [&](const received_message&, int& seen) {
                                              most = ++seen;
                                              return disposition::ack;
                                            })));
  CHECK(wait_until(within(30s), [&] { return most == 50; }));
}

TEST_CASE_METHOD(fixture, "several processors share the work, and nobody gets what it did not ask for") {
  store(list(400, "x"));
  std::mutex mutex;
  std::set<int> workers;
  std::atomic<int> handlers = 0, at_work = 0, most_at_work = 0, handled = 0;
  auto o = with_consumer(stateful([&] { return ++handlers; },
                                  [&](const received_message&, int me) {
                                    const int now = ++at_work;
                                    for (int most = most_at_work;
                                         now > most && !most_at_work.compare_exchange_weak(most, now);) {
                                    }
                                    {
                                      const std::lock_guard guard{mutex};
                                      workers.insert(me);
                                    }
                                    std::this_thread::sleep_for(1ms); // the work
                                    --at_work;
                                    ++handled;
                                    return disposition::ack;
                                  }));
  o.consumers[0].processors = 4;
  o.consumers[0].max_demand = 10;
  o.consumers[0].min_demand = 5;
  const auto t = run(std::move(o));
  REQUIRE(wait_until(within(30s), [&] { return handled == 400; }));
  CHECK(workers.size() == 4);
  CHECK(most_at_work > 1);
}

TEST_CASE_METHOD(fixture, "a reader begins at the earliest, at the latest, or behind a message") {
  const auto ids = store(list{"1", "2", "3", "4"});
  inbox earliest, behind, latest;
  const auto a = run_connected(with_reader(earliest.keeps()));
  const auto b = run_connected(with_reader(behind.keeps(), ids[1]));
  const auto c = run_connected(with_reader(latest.keeps(), start_at::latest()));
  store(list{"5"});
  REQUIRE(earliest.has(5));
  REQUIRE(behind.has(3));
  REQUIRE(latest.has(1));
  CHECK(earliest.payloads() == list{"1", "2", "3", "4", "5"});
  CHECK(behind.payloads() == list{"3", "4", "5"});
  CHECK(latest.payloads() == list{"5"});
}

TEST_CASE_METHOD(fixture, "two subscriptions and two readers on one topic live in one tree") {
  inbox one, two, three, four;
  auto o = with_producer();
  o.consumers = {consumer(one.keeps(), "one"), consumer(two.keeps(), "two")};
  o.readers = with_reader(three.keeps()).readers;
  o.readers.push_back(o.readers.front());
  o.readers.back().reader_name = "second";
  o.readers.back().handler = four.keeps();
  const auto t = run_connected(std::move(o));
  REQUIRE(t.produce(producer, "x"));
  for (const auto* in : {&one, &two, &three, &four})
    CHECK(in->has(1));
}

TEST_CASE_METHOD(fixture, "a handler that throws is restarted, and its message comes again") {
  store(list{"1", "2", "3"});
  std::atomic<bool> thrown = false;
  std::mutex mutex;
  std::multiset<std::string> handled;
  auto o = with_producer();
  o.consumers = {consumer([&](const received_message& m) {
    if (m.payload == "2" && !thrown.exchange(true))
      throw std::runtime_error{"cannot bill 2"};
    const std::lock_guard guard{mutex};
    handled.insert(m.payload);
    return disposition::ack;
  })};
  const auto t = run_connected(std::move(o));
  REQUIRE(wait_until(within(30s), [&] {
    const std::lock_guard guard{mutex};
    return handled.contains("1") && handled.contains("2") && handled.contains("3");
  }));
  CHECK(was_logged("cannot bill 2"));
  CHECK(t.inspect().restarts == 1);
  CHECK(handled.count("1") == 1); // it was acknowledged before its neighbour took the processor down
  CHECK_FALSE(t.wait_ready(30s));
  CHECK_FALSE(t.stop());
  CHECK(left_over() == 0);
}

TEST_CASE_METHOD(fixture, "a handler that always throws makes its consumer give up, and leaves the others alone") {
  store(list{"poison"});
  const auto poisoned = topic;
  topic = fresh_topic();
  producer = registry_key{topic};
  inbox others;
  auto o = with_producer();
  o.consumers = {consumer(others.keeps())};
  o.consumers.push_back(consumer([](const received_message&) -> disposition { throw std::runtime_error{"always"}; }));
  o.consumers.back().topic = poisoned;
  const auto t = run_connected(std::move(o));
  const auto key = to_string(registry_key{"consumer_sup/s", poisoned});
  CHECK(wait_until(within(30s), [&] {
    for (const auto& e : t.inspect().entries)
      if (e.key == key)
        return e.state == child_state::stopped && e.last_exit.find("always") != std::string::npos;
    return false;
  }));
  REQUIRE(t.produce(producer, "x"));
  CHECK(others.has(1));
  CHECK_FALSE(t.stop());
  topic = poisoned; // and the message is still there
  producer = registry_key{topic};
  CHECK(left_over() == 1);
}

TEST_CASE_METHOD(fixture, "a subscription that another holds is waited for, and taken over") {
  inbox first, second;
  auto o = with_consumer(first.keeps());
  o.consumers[0].type = subscription_type::exclusive;
  auto holder = run_connected(o);
  o.consumers[0].handler = second.keeps();
  const auto waiting = run(o);
  CHECK(wait_until(within(30s), [&] { return was_logged("status 409"); }));
  CHECK(code_of(waiting.wait_ready(1ms)) == errc::timed_out);
  CHECK_FALSE(holder.stop());
  CHECK_FALSE(waiting.wait_ready(30s));
  store(list{"x"});
  CHECK(second.has(1));
  CHECK(first.size() == 0);
}
