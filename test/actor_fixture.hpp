/// @file
/// One actor of a tree by itself: the test plays the actors around it.
#pragma once

#include "actors/producer/messages.hpp"
#include "actors/receiver/messages.hpp"
#include "actors/shared/roles.hpp"
#include "actors/shared/tree_context.hpp"
#include "libstargate/connection/transport.hpp"
#include "test/deterministic.hpp"
#include "test/fake_world.hpp"

#include <stargate/supervisor.hpp>

#include <catch2/catch.hpp>

#include <deque>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace stargate::test {

/// A connection that keeps what it is to send.
struct recording_link final : connection::link {
  std::deque<std::vector<std::string>> batches;

  void send(std::vector<connection::frame> frames) override {
    auto& batch = batches.emplace_back();
    for (const auto& frame : frames)
      batch.push_back(frame->str());
  }
  void close() override {}
};

struct actor_fixture : deterministic {
  std::string logged; ///< Everything that was said at level `error`.
  std::shared_ptr<fake_world> world = [this] {
    auto result = std::make_shared<fake_world>(system());
    result->threads = false; // of which there is one, the test's
    result->random_step = 0x9e3779b97f4a7c15;
    return result;
  }();
  internal::tree_context_ptr tree = [this] {
    options o;
    o.idle_check = std::chrono::milliseconds{0}; // there is nobody to ask
    o.log = [this](log_level level, std::string_view, std::string_view text) {
      if (level == log_level::error)
        logged.append(text).append("\n");
    };
    auto context = std::make_shared<internal::tree_context>(system(), std::move(o), world);
    context->set_registry(registry::spawn(system(), "reg_test"));
    return context;
  }();
  caf::actor subject;
  std::shared_ptr<recording_link> link = std::make_shared<recording_link>();

  /// The next batch that the actor under test has sent, or nothing.
  std::vector<std::string> sent() {
    run();
    if (link->batches.empty())
      return {};
    auto batch = std::move(link->batches.front());
    link->batches.pop_front();
    return batch;
  }

  /// Registers the test under a key, so that the actor under test finds it.
  void play(const std::string& key) {
    REQUIRE(answer_of<registered>(tree->registry().actor(), register_name{key, me()}));
  }

  void watch(caf::actor who) {
    subject = std::move(who);
    self()->monitor(subject);
    run();
    REQUIRE(take<child_started>());
  }

  /// Why the actor under test ended.
  caf::error end() {
    auto down = take<caf::down_msg>();
    REQUIRE(down);
    return down->reason;
  }

  ~actor_fixture() {
    compat::send_exit(subject, caf::exit_reason::kill);
    compat::send_exit(tree->registry().actor(), caf::exit_reason::kill);
    run();
    subject = nullptr;
  }
};

} // namespace stargate::test
