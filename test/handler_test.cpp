#include <stargate/handler.hpp>

#include <catch2/catch.hpp>

using namespace stargate;

namespace {

class counting final : public message_handler {
public:
  explicit counting(int first) : count_{first} {}
  disposition handle_message(const received_message& m) override {
    m.payload.empty() ? ++count_ : --count_;
    return count_ > 1 ? disposition::ack : disposition::continue_;
  }

private:
  int count_;
};

} // namespace

TEST_CASE("a handler is made from a lambda of a message") {
  const handler_factory f = [](const received_message& m) {
    return m.payload == "x" ? disposition::nack : disposition::ack;
  };
  received_message m;
  CHECK(f()->handle_message(m) == disposition::ack);
  m.payload.push_back('x');
  CHECK(f()->handle_message(m) == disposition::nack);
}

TEST_CASE("a handler is made from a lambda that makes one") {
  const handler_factory f = [] { return std::make_unique<counting>(0); };
  CHECK(f()->handle_message({}) == disposition::continue_);
}

TEST_CASE("a handler of a class gets its arguments, and each processor has one of its own") {
  const auto f = make_handler<counting>(0);
  const auto first = f();
  const auto second = f();
  CHECK(first->handle_message({}) == disposition::continue_);
  CHECK(first->handle_message({}) == disposition::ack);
  CHECK(second->handle_message({}) == disposition::continue_);
}

TEST_CASE("a stateful handler keeps its state from message to message") {
  const auto f = stateful(
    [] { return std::size_t{1}; },
    [](const received_message&, std::size_t& seen) { return ++seen == 3 ? disposition::ack : disposition::continue_; });
  const auto h = f();
  CHECK(h->handle_message({}) == disposition::continue_);
  CHECK(h->handle_message({}) == disposition::ack);
}

TEST_CASE("a handler that takes messages by && is told from one that only looks at them") {
  const handler_factory takes = [](received_message&& m) {
    const auto payload = std::move(m.payload);
    return payload.empty() ? disposition::nack : disposition::ack;
  };
  const handler_factory with_context = [](received_message&& m, const handler_context&) {
    return std::exchange(m.payload, {}).empty() ? disposition::nack : disposition::ack;
  };
  for (const auto& f : {takes, with_context}) {
    const auto h = f();
    auto* const taker = dynamic_cast<taking_handler*>(h.get());
    REQUIRE(taker != nullptr);
    received_message m{.payload = "x"};
    CHECK(h->handle_message(m) == disposition::ack);
    CHECK(m.payload == "x"); // a copy of it
    CHECK(taker->take_message(std::move(m)) == disposition::ack);
  }
  const handler_factory looks = [](const received_message&) { return disposition::ack; };
  CHECK(dynamic_cast<taking_handler*>(looks().get()) == nullptr);
}

TEST_CASE("a message that a test makes may be asked and settled as any") {
  const received_message m{.id = {"id"}, .payload = "x"};
  CHECK(m.topic() == topic_name{.topic = ""});
  m.acknowledge();
  m.acknowledge_up_to();
  m.negative_acknowledge();
  CHECK(weak_tree{}.produce_and_ack(m, producer_key({.topic = "x"}), {}) == disposition::continue_);
}

TEST_CASE("no handler is told from one") {
  CHECK_FALSE(handler_factory{});
  CHECK(handler_factory{make_handler<counting>(1)});
}
