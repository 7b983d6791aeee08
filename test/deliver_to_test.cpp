#include "test/processor_fixture.hpp"

#include <catch2/catch.hpp>

using namespace stargate;
using namespace stargate::compat;
using namespace stargate::internal;
using namespace std::chrono_literals;

namespace {

/// A processor that delivers to an actor. The test plays the dispatcher, the acknowledger and that actor.
struct fixture : test::processor_fixture {
  std::vector<std::vector<std::string>> batches; ///< What came to the actor.
  std::vector<caf::response_promise> open;       ///< What it has not answered.
  caf::actor target = listener();

  caf::actor listener() {
    return system().spawn([this](caf::event_based_actor* self) -> caf::behavior {
      return behave(
        self, {},
        [this, self](message_batch& b) {
          auto& seen = batches.emplace_back();
          for (const auto& m : b.messages)
            seen.push_back(m.payload);
          auto promise = self->make_response_promise();
          open.push_back(promise);
          return promise;
        },
        [self](const caf::error& why) { self->quit(why); });
    });
  }
  void answer(dispositions what) {
    auto promise = std::move(open.front());
    open.erase(open.begin());
    // A promise is kept by its actor: so it is there that it is answered.
    post(target, deferred{[promise, what]() mutable { promise.deliver(std::move(what)); }});
    run();
  }

  void begin(handler_factory handler, const std::function<void(consumer_options&)>& change = {}) {
    processor_fixture::begin(std::move(handler), 4, 2, change);
    CHECK(asked() == 4);
  }
  void give(std::initializer_list<std::uint64_t> sequences) {
    std::vector<raw_message> messages;
    for (const auto n : sequences)
      messages.push_back(raw(n, "YQ=="));
    processor_fixture::give(std::move(messages));
  }
  std::vector<disposition> settled() {
    std::vector<disposition> result;
    if (auto s = take<settle>())
      for (const auto& m : s->messages)
        result.push_back(m.what);
    return result;
  }
  ~fixture() {
    open.clear();
    send_exit(target, caf::exit_reason::kill);
    run();
  }
};

using whats = std::vector<disposition>;

} // namespace

TEST_CASE_METHOD(fixture, "an actor gets what has come as one batch, and the next when it has answered") {
  begin(deliver_to(target));
  give({1, 2});
  give({3, 4});
  CHECK(batches == std::vector<std::vector<std::string>>{{"a", "a"}});
  CHECK(settled().empty());
  CHECK(asked() == 0); // all four are owed
  answer(dispositions{{disposition::ack, disposition::nack}});
  CHECK(settled() == whats{disposition::ack, disposition::nack});
  CHECK(asked() == 2);
  CHECK(batches.size() == 2);
  answer(disposition::continue_); // one for all
  CHECK(settled() == whats{disposition::continue_, disposition::continue_});
}

TEST_CASE_METHOD(fixture, "a batch for an actor is no larger than batch_size, where that is set, and waits for it") {
  begin(deliver_to(target), [](auto& o) {
    o.batch_size = 3;
    o.batch_delay = 100ms;
  });
  give({1, 2, 3, 4});
  CHECK(batches.size() == 1);
  CHECK(batches[0].size() == 3);
  answer(disposition::ack);
  CHECK(settled().size() == 3);
  CHECK(batches.size() == 1);
  advance(100ms);
  CHECK(batches.size() == 2);
  CHECK(batches[1].size() == 1);
}

TEST_CASE_METHOD(fixture, "while nobody has the name messages wait, and the successor finds them") {
  begin(deliver_to(std::string{"sink"}));
  give({1});
  CHECK(batches.empty());
  advance(1s);
  REQUIRE(answer_of<registered>(tree->registry().actor(), register_name{"sink", target}));
  advance(50ms);
  CHECK(batches.size() == 1);
  answer(disposition::ack);
  CHECK(settled() == whats{disposition::ack});
}

TEST_CASE_METHOD(fixture, "an actor that ends with messages in hand has failed on them") {
  begin(deliver_to(std::string{"sink"}), [](auto& o) { o.on_failure = failure_action::nack; });
  REQUIRE(answer_of<registered>(tree->registry().actor(), register_name{"sink", target}));
  give({1, 2});
  post(target, make_error(errc::not_found, "gone"));
  run();
  CHECK(settled() == whats{disposition::nack, disposition::nack});
  CHECK(logged.find("it ended: not found: gone") != std::string::npos);
  target = listener();
  REQUIRE(answer_of<registered>(tree->registry().actor(), register_name{"sink", target}));
  give({3});
  CHECK(batches.size() == 2);
}

TEST_CASE_METHOD(fixture, "a failure of the actor is one of the handler: the processor ends") {
  begin(deliver_to(target));
  give({1});
  post(target, deferred{[promise = open.front()]() mutable { promise.deliver(make_error(errc::timed_out, "no")); }});
  run();
  const auto why = end();
  CHECK(code_of(why) == errc::handler_failed);
  CHECK(describe(why).find("timed out: no") != std::string::npos);
}

TEST_CASE_METHOD(fixture, "an actor that does not answer in time has failed, and its late answer counts no more") {
  begin(deliver_to(target), [](auto& o) {
    o.on_failure = failure_action::nack;
    o.handler_timeout = 100ms;
  });
  give({1});
  advance(100ms);
  CHECK(settled() == whats{disposition::nack});
  give({2});
  answer(disposition::ack);
  CHECK(settled().empty());
  answer(disposition::ack);
  CHECK(settled() == whats{disposition::ack});
}

TEST_CASE_METHOD(fixture, "an answer for another number of messages is a failure") {
  begin(deliver_to(target), [](auto& o) { o.on_failure = failure_action::nack; });
  give({1, 2, 3});
  answer(dispositions{{disposition::ack, disposition::ack}});
  CHECK(settled() == whats(3, disposition::nack));
}

TEST_CASE_METHOD(fixture, "who drains waits for what the actor has in hand, and what it has not is dropped") {
  begin(deliver_to(target));
  give({1});
  give({2});
  post(subject, drain{me()});
  run();
  CHECK_FALSE(take<drained>());
  answer(disposition::ack);
  CHECK(settled() == whats{disposition::ack});
  CHECK(take<drained>());
  CHECK(batches.size() == 1);
}

TEST_CASE_METHOD(fixture, "messages of a connection that is gone do not wait for the actor any longer") {
  begin(deliver_to(std::string{"sink"}));
  give({1, 2});
  post(subject, link_down{7});
  run();
  CHECK(asked() == 2);
  REQUIRE(answer_of<registered>(tree->registry().actor(), register_name{"sink", target}));
  advance(50ms);
  CHECK(batches.empty());
  origin = std::make_shared<const delivery>(delivery{me(), 8, origin->topic});
  give({1});
  CHECK(batches.size() == 1);
}

TEST_CASE_METHOD(fixture, "batches that were answered leave no time-outs behind") {
  begin(deliver_to(target), [](auto& o) { o.handler_timeout = 60s; });
  const auto before = timers();
  for (std::uint64_t n = 1; n <= 10; ++n) {
    give({n});
    answer(disposition::ack);
    static_cast<void>(settled());
    static_cast<void>(asked());
  }
  CHECK(timers() <= before + 1); // the alarm
}
