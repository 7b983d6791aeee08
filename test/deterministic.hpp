/// @file
/// An actor system on one thread, with a clock that stands still until a test moves it, and the test among the actors.
#pragma once

#include "testing/virtual_system.hpp"

#include <stargate/error.hpp>

#include <chrono>
#include <optional>

namespace stargate::test {

class deterministic {
public:
  ~deterministic() {
    run();
    self_.reset();
  }

  caf::actor_system& system() { return virtual_.actors(); }
  caf::scoped_actor& self() { return *self_; }
  caf::actor me() { return caf::actor_cast<caf::actor>(*self_); }

  /// Runs everything that can run without time passing.
  void run() { virtual_.run(); }

  /// Runs one actor, once, before all others; false when it has nothing to do.
  bool run_only(const caf::actor& who) { return virtual_.run_only(who); }

  /// Lets time pass, and runs what it brings.
  void advance(std::chrono::milliseconds time) {
    run();
    virtual_.set_time(virtual_.now() + time);
    virtual_.ring();
    run();
  }

  /// How many time-outs and delayed messages are under way.
  std::size_t timers() { return virtual_.timers(); }

  /// Asks an actor, which answers without time passing.
  template <class Answer, class Content>
  caf::expected<Answer> answer_of(const caf::actor& whom, Content content) {
    caf::expected<Answer> result = caf::make_error(caf::sec::unexpected_response);
    auto pending = compat::request(self_->ptr(), whom, std::chrono::hours{1}, std::move(content));
    run();
    std::move(pending).receive([&](Answer& a) { result = std::move(a); },
                               [&](caf::error& e) { result = std::move(e); });
    return result;
  }

  /// The next message of a type in the test's own mailbox, if one is there.
  template <class Content>
  std::optional<Content> take() {
    run();
    std::optional<Content> result;
    (*self_)->receive([&](Content& c) { result = std::move(c); }, caf::after(std::chrono::milliseconds{0}) >> [] {});
    return result;
  }

private:
  testing::virtual_system virtual_;
  std::optional<caf::scoped_actor> self_{virtual_.actors()};
};

} // namespace stargate::test
