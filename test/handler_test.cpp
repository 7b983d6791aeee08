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

TEST_CASE("no handler is told from one") {
  CHECK_FALSE(handler_factory{});
  CHECK(handler_factory{make_handler<counting>(1)});
}
