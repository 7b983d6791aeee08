// The demo: a supervised pipeline of two topics on a real broker, in which two actors are killed half-way.
#include "integration/load.hpp"

#include <stargate/stargate.hpp>

#include <CLI/CLI.hpp>

#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <iostream>
#include <mutex>
#include <string>
#include <thread>
#include <unistd.h>

namespace {

using namespace stargate;
using namespace stargate::compat;
using namespace stargate::integration;
using namespace std::chrono_literals;

/// Shows how far things are, while somebody looks.
class progress {
public:
  progress(const accounts& books, std::size_t count) : books_{books}, count_{count} {
    if (isatty(STDERR_FILENO) == 1)
      thread_ = std::thread{[this] { run(); }};
  }
  ~progress() {
    {
      const std::lock_guard guard{mutex_};
      over_ = true;
    }
    changed_.notify_all();
    if (thread_.joinable())
      thread_.join();
  }

private:
  void run() {
    std::unique_lock lock{mutex_};
    while (!changed_.wait_for(lock, 100ms, [this] { return over_; }))
      std::fprintf(stderr, "\r%zu of %zu receipted, %zu processed ", books_.receipted(), count_, books_.processed());
    std::fputs("\r\033[K", stderr);
  }

  const accounts& books_;
  std::size_t count_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool over_ = false;
  std::thread thread_;
};

caf::error kill(const tree& t, const registry_key& key) {
  const auto who = t.await(key, 10s);
  if (!who)
    return who.error();
  std::cout << "killing " << to_string(key) << std::endl;
  send_exit(*who, caf::exit_reason::kill);
  return {};
}

int demo(const host& where, std::size_t count, const std::string& prefix) {
  accounts books{count};
  const topic_name orders{.topic = prefix + "-orders"};
  const topic_name events{.topic = prefix + "-events"};

  options o;
  o.name = "demo";
  o.hosts = {where};
  o.producers = {{.topic = orders}, {.topic = events}};
  o.consumers = {{.topic = orders,
                  .subscription = "demo",
                  .type = subscription_type::shared,
                  .position = initial_position::earliest,
                  .processors = 4,
                  .handler = make_handler<note_number>(&books)}};
  o.readers = {
    {.topic = events, .start = start_at::earliest(), .processors = 2, .handler = make_handler<note_number>(&books)}};
  o.log = [](log_level level, std::string_view source, std::string_view text) {
    if (level == log_level::error)
      std::cerr << "demo: " << source << ": " << text << std::endl;
  };

  caf::actor_system_config config;
  set_scheduler_sharing(config);
  set_scheduler_threads(config, 2);
  caf::actor_system system{config};

  const auto t = start(system, std::move(o));
  const auto not_ready = t ? t->wait_ready(30s) : t.error();
  if (not_ready) {
    std::cerr << "demo: " << describe(not_ready) << std::endl;
    return 1;
  }

  const auto began = std::chrono::steady_clock::now();
  const auto deadline = began + 60s + std::chrono::milliseconds{count * 5};
  caf::error trouble;
  {
    const progress shown{books, count};
    feeder feed{*t, {registry_key{"producer", orders, "demo"}, registry_key{"producer", events, "demo"}}, books};
    for (std::size_t number = 0; number < count; ++number) {
      if (number == count / 2) {
        trouble = kill(*t, {"producer", orders, "demo"});
        if (!trouble)
          trouble = kill(*t, {"processor/demo/1", orders, "demo"});
      }
      feed.send(number);
    }
    if (!feed.finish(deadline))
      std::cerr << "demo: not every message was receipted in time" << std::endl;
    if (!wait_until(deadline, [&] { return books.processed() == count && t->inspect().restarts >= 2; }))
      std::cerr << "demo: not every message was processed in time" << std::endl;
    if (!trouble)
      trouble = t->wait_ready(30s);
  }
  const auto took = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();

  const auto whole = t->inspect();
  std::cout << to_string(whole) << "it took " << took << " s\n";
  const auto unclean = t->stop();
  for (const auto& e : {trouble, unclean})
    if (e)
      std::cerr << "demo: " << describe(e) << std::endl;
  const auto lost = count - books.processed();
  std::cout << "demo: " << count << " produced, " << books.receipted() << " receipted, " << books.processed()
            << " processed, " << lost << " lost, " << whole.restarts << " restarts" << std::endl;
  return lost == 0 && books.receipted() == count && whole.restarts >= 2 && !trouble && !unclean ? 0 : 1;
}

} // namespace

int main(int argc, char** argv) {
  CLI::App app{"Runs a supervised pipeline of two topics on a Pulsar broker and kills two of its actors half-way.",
               "stargate-demo"};
  host where;
  std::size_t count = 10'000;
  std::string prefix =
    "demo-" + std::to_string(getpid()) + "-" + std::to_string(std::chrono::system_clock::now().time_since_epoch() / 1s);
  app.add_option("--host", where.name, "The broker's host")->capture_default_str();
  app.add_option("--port", where.port, "The broker's web port")->capture_default_str();
  app.add_option("--messages", count, "How many messages are sent in all")
    ->check(CLI::Range(std::size_t{2}, std::size_t{100'000'000}))
    ->capture_default_str();
  app.add_option("--prefix", prefix, "What the names of the two topics begin with")->capture_default_str();
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& e) {
    return app.exit(e);
  } catch (const CLI::ParseError& e) {
    app.exit(e);
    return 2;
  }
  return demo(where, count, prefix);
}
