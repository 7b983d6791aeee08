/// @file
/// What the tests against a real broker share.
#pragma once

#include "integration/load.hpp"

#include <stargate/stargate.hpp>

#include <catch2/catch.hpp>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <functional>
#include <mutex>
#include <string>
#include <unistd.h>
#include <vector>

namespace stargate::integration {

using namespace std::chrono_literals;

/// The broker under test. There is no test without one.
inline host broker() {
  const auto* url = std::getenv("STARGATE_URL");
  if (url == nullptr)
    throw std::runtime_error{
      "STARGATE_URL is not set: start a broker with scripts/broker and set it to ws://127.0.0.1:PORT"};
  const std::string text = url;
  const auto colon = text.rfind(':');
  const auto name = text.substr(5, colon - 5);
  return {name, static_cast<std::uint16_t>(std::stoul(text.substr(colon + 1)))};
}

/// A topic that no other test uses.
inline topic_name fresh_topic(const std::string& name = "topic") {
  static int count = 0;
  return {.topic = name + "-" + std::to_string(getpid()) + "-" + std::to_string(++count) + "-"
                   + std::to_string(std::chrono::system_clock::now().time_since_epoch() / 1s)};
}

inline std::chrono::steady_clock::time_point within(std::chrono::milliseconds time) {
  return std::chrono::steady_clock::now() + time;
}

/// Keeps what handlers received. @par Threads any thread
class inbox {
public:
  handler_factory keeps(disposition what = disposition::ack) {
    return [this, what](const received_message& m) { return keep(m, what); };
  }
  disposition keep(const received_message& m, disposition what = disposition::ack) {
    const std::lock_guard guard{mutex_};
    messages_.push_back(m);
    return what;
  }
  std::vector<received_message> all() const {
    const std::lock_guard guard{mutex_};
    return messages_;
  }
  std::vector<std::string> payloads() const {
    std::vector<std::string> result;
    for (const auto& m : all())
      result.push_back(m.payload);
    return result;
  }
  std::size_t size() const {
    const std::lock_guard guard{mutex_};
    return messages_.size();
  }
  [[nodiscard]] bool has(std::size_t count, std::chrono::milliseconds timeout = 30s) const {
    return wait_until(within(timeout), [&] { return size() >= count; });
  }

private:
  mutable std::mutex mutex_;
  std::vector<received_message> messages_;
};

/// A scheduler of so many threads; 0 is as many as CAF makes.
inline caf::actor_system_config& with_threads(caf::actor_system_config& config, std::size_t threads) {
  if (threads > 0)
    compat::set_scheduler_threads(config, threads);
  return config;
}

struct fixture {
  /// @param threads of the scheduler; 0 is as many as CAF makes
  explicit fixture(std::size_t threads = 0) : scheduler_threads{threads} {}

  const std::size_t scheduler_threads;
  caf::actor_system_config config;
  caf::actor_system system{with_threads(config, scheduler_threads)};
  topic_name topic = fresh_topic();
  registry_key producer{topic};
  std::string logged;
  std::mutex log_mutex;
  int trees_beside = 0;

  options base() {
    options o;
    o.hosts = {broker()};
    o.log = [this](log_level level, std::string_view source, std::string_view text) {
      if (level < log_level::warning)
        return;
      const std::lock_guard guard{log_mutex};
      logged.append(source).append(": ").append(text).append("\n");
    };
    return o;
  }
  bool was_logged(const std::string& text) {
    const std::lock_guard guard{log_mutex};
    return logged.find(text) != std::string::npos;
  }

  /// A tree beside one of its name gets another.
  tree run(options o) {
    auto t = start(system, o);
    if (!t && code_of(t.error()) == errc::already_registered) {
      o.name += "-" + std::to_string(++trees_beside);
      t = start(system, std::move(o));
    }
    if (!t)
      FAIL(describe(t.error()));
    return std::move(*t);
  }
  tree run_connected(options o) {
    auto t = run(std::move(o));
    const auto why = t.wait_ready(30s);
    if (why)
      FAIL(describe(why));
    return t;
  }
  options with_producer() {
    auto o = base();
    o.producers = {{.topic = topic}};
    return o;
  }
  consumer_options consumer(handler_factory handler, std::string subscription = "s") {
    return {.topic = topic,
            .subscription = std::move(subscription),
            .type = subscription_type::shared,
            .position = initial_position::earliest,
            .handler = std::move(handler)};
  }
  options with_consumer(handler_factory handler) {
    auto o = base();
    o.consumers = {consumer(std::move(handler))};
    return o;
  }
  options with_reader(handler_factory handler, start_at from = start_at::earliest()) {
    auto o = base();
    o.readers = {{.topic = topic, .start = std::move(from), .handler = std::move(handler)}};
    return o;
  }
  /// What a new consumer of a subscription still gets: everything before a marker.
  std::size_t left_over(const std::string& subscription = "s", subscription_type type = subscription_type::shared) {
    store(std::vector<std::string>{"marker"});
    std::atomic<std::size_t> count = 0;
    std::atomic<bool> marked = false;
    auto o = base();
    o.consumers = {consumer(
      [&](const received_message& m) {
        (m.payload == "marker") ? void(marked = true) : void(++count);
        return disposition::ack;
      },
      subscription)};
    o.consumers[0].type = type;
    const auto t = run(std::move(o));
    CHECK(wait_until(within(30s), [&] { return marked.load(); }));
    return count;
  }

  std::vector<std::string> read(const topic_name& from, std::size_t count) {
    inbox in;
    auto o = base();
    o.readers = {{.topic = from, .start = start_at::earliest(), .handler = in.keeps()}};
    const auto t = run(std::move(o));
    CHECK(in.has(count));
    return in.payloads();
  }

  /// Stores messages, and gives their ids.
  std::vector<message_id> store(std::vector<message> messages) {
    const auto t = run_connected(with_producer());
    std::vector<message_id> ids;
    for (auto& answer : t.produce(registry_key{"producer", topic, t.name()}, std::move(messages))) {
      if (!answer)
        FAIL(describe(answer.error()));
      ids.push_back(std::move(*answer));
    }
    return ids;
  }
  std::vector<message_id> store(const std::vector<std::string>& payloads) {
    std::vector<message> messages;
    for (const auto& p : payloads)
      messages.push_back({.payload = p});
    return store(std::move(messages));
  }
};

} // namespace stargate::integration
