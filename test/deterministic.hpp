/// @file
/// An actor system on CAF's deterministic scheduler, with a clock that stands still until a test moves it.
#pragma once

#include <stargate/caf.hpp>
#include <stargate/error.hpp>
#include <stargate/init.hpp>

#include <caf/scheduler/test_coordinator.hpp>

#include <chrono>
#include <optional>
#include <stdexcept>

namespace stargate::test {

class deterministic {
public:
  deterministic() {
    // The packaged CAF takes the policy as an atom only.
    config_.set("scheduler.policy", caf::atom("testing"));
    system_.emplace(config_);
    scheduler_ = dynamic_cast<caf::scheduler::test_coordinator*>(&system_->scheduler());
    if (scheduler_ == nullptr)
      throw std::logic_error{"CAF did not take the deterministic scheduler"};
    self_.emplace(*system_);
  }
  ~deterministic() {
    run();
    self_.reset();
  }

  caf::actor_system& system() { return *system_; }
  caf::scoped_actor& self() { return *self_; }
  caf::actor me() { return caf::actor_cast<caf::actor>(*self_); }

  /// Runs everything that can run without time passing.
  void run() { scheduler_->run(); }

  /// Runs one actor, once, before all others; false when it has nothing to do.
  bool run_only(const caf::actor& who) { return scheduler_->prioritize(who) && scheduler_->try_run_once(); }

  /// Lets time pass, and runs what it brings.
  void advance(std::chrono::milliseconds time) {
    run();
    scheduler_->advance_time(time);
    run();
  }

  /// How many time-outs and delayed messages are under way.
  std::size_t timers() { return scheduler_->clock().schedule().size(); }

  /// Asks an actor, which answers without time passing.
  template <class Answer, class Content>
  caf::expected<Answer> answer_of(const caf::actor& whom, Content content) {
    caf::expected<Answer> result = caf::make_error(caf::sec::unexpected_response);
    auto pending = compat::request(self_->ptr(), whom, std::chrono::hours{1}, std::move(content));
    run();
    pending.receive([&](Answer& a) { result = std::move(a); }, [&](caf::error& e) { result = std::move(e); });
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
  caf::actor_system_config config_;
  std::optional<caf::actor_system> system_;
  caf::scheduler::test_coordinator* scheduler_ = nullptr;
  std::optional<caf::scoped_actor> self_;
};

} // namespace stargate::test
