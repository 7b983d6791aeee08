// The demo: a supervised pipeline of two topics on a real broker, in which two actors are killed half-way.
#include <stargate/stargate.hpp>

#include <CLI/CLI.hpp>

#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <iostream>
#include <mutex>
#include <string>
#include <thread>
#include <unistd.h>
#include <vector>

namespace {

using namespace stargate;
using namespace std::chrono_literals;

/// Which messages were stored and which were handled, by their number.
class accounts {
public:
  explicit accounts(std::size_t count) : receipted_(count), processed_(count) {}

  void receipt(std::size_t number) { mark(receipted_, receipted_count_, number); }
  void process(std::size_t number) { mark(processed_, processed_count_, number); }
  std::size_t receipted() const { return receipted_count_; }
  std::size_t processed() const { return processed_count_; }

private:
  void mark(std::vector<std::atomic<bool>>& list, std::atomic<std::size_t>& count, std::size_t number) {
    if (number < list.size() && !list[number].exchange(true))
      ++count;
  }

  std::vector<std::atomic<bool>> receipted_;
  std::vector<std::atomic<bool>> processed_;
  std::atomic<std::size_t> receipted_count_{0};
  std::atomic<std::size_t> processed_count_{0};
};

/// A handler that notes the number of each message it sees, which is in a property.
class note_number final : public message_handler {
public:
  explicit note_number(accounts* books) : books_{books} {}
  disposition handle_message(const received_message& m) override {
    const auto number = m.properties.find("number");
    if (number != m.properties.end())
      books_->process(std::stoul(number->second));
    return disposition::ack;
  }

private:
  accounts* books_;
};

/// Hands messages to the producers, some hundreds at a time, and again those that an actor took along as it died.
class feeder {
public:
  feeder(const tree& t, std::array<registry_key, 2> producers, accounts& books)
    : tree_{t}, producers_{std::move(producers)}, books_{books} {}

  void send(std::size_t number) {
    {
      std::unique_lock lock{mutex_};
      changed_.wait(lock, [this] { return under_way_ < window; });
      ++under_way_;
    }
    hand_over(number);
  }

  /// Waits for what is under way, and hands over again what was not stored. False when that does not end.
  bool finish(std::chrono::steady_clock::time_point deadline) {
    for (;;) {
      std::vector<std::size_t> again;
      {
        std::unique_lock lock{mutex_};
        if (!changed_.wait_until(lock, deadline, [this] { return under_way_ == 0; }))
          return false;
        if (failed_.empty())
          return true;
        again.swap(failed_);
      }
      if (std::chrono::steady_clock::now() >= deadline)
        return false;
      for (const auto number : again)
        send(number);
    }
  }

private:
  static constexpr std::size_t window = 800;

  void hand_over(std::size_t number) {
    message m{.payload = "message " + std::to_string(number),
              .key = "key-" + std::to_string(number % 16),
              .properties = {{"number", std::to_string(number)}, {"sent-by", "stargate-demo"}}};
    tree_.produce(producers_[number % 2], std::move(m), [this, number](caf::expected<message_id> answer) {
      const std::lock_guard guard{mutex_};
      if (answer)
        books_.receipt(number);
      else
        failed_.push_back(number);
      --under_way_;
      changed_.notify_all();
    });
  }

  const tree& tree_;
  const std::array<registry_key, 2> producers_;
  accounts& books_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::size_t under_way_ = 0;
  std::vector<std::size_t> failed_;
};

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

/// Waits until `enough`; false when it is not by the deadline.
template <class Enough>
bool wait_until(std::chrono::steady_clock::time_point deadline, Enough enough) {
  while (!enough()) {
    if (std::chrono::steady_clock::now() >= deadline)
      return false;
    std::this_thread::sleep_for(5ms);
  }
  return true;
}

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
  o.readers = {{.topic = events,
                .start = start_at::earliest(),
                .processors = 2,
                .handler = make_handler<note_number>(&books)}};
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
    wait_until(deadline, [&] { return books.processed() == count; });
    wait_until(deadline, [&] { return t->inspect().restarts >= 2; });
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
  init_caf();
  CLI::App app{"Runs a supervised pipeline of two topics on a Pulsar broker and kills two of its actors half-way.",
               "stargate-demo"};
  host where;
  std::size_t count = 10'000;
  std::string prefix = "demo-" + std::to_string(getpid()) + "-"
                       + std::to_string(std::chrono::system_clock::now().time_since_epoch() / 1s);
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
