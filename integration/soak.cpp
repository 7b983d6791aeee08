// A pipeline under random faults: connections that are cut, stalled, delayed and refused, actors that are killed,
// handlers that throw, pipelines that come and go. Every message is in a ledger; the verdict is what the ledger says.
#include "integration/load.hpp"
#include "integration/proxy.hpp"

#include <stargate/stargate.hpp>

#include <CLI/CLI.hpp>

#include <iostream>
#include <map>
#include <random>
#include <unistd.h>

using namespace stargate;
using namespace stargate::compat;
using namespace stargate::integration;
using namespace std::chrono_literals;

namespace {

constexpr std::size_t most_messages = 10'000'000;

struct books {
  accounts pushed{most_messages}, pulled{most_messages}, read{most_messages};
  std::atomic<std::size_t> handed_over{0}, stored{0}, failed{0}, unknown{0};
};

/// A handler that fails now and then.
class moody final : public message_handler {
public:
  moody(accounts* to, unsigned seed) : to_{to}, random_{seed} {}
  disposition handle_message(const received_message& m) override {
    if (random_() % 20'000 == 0)
      throw std::runtime_error{"a mood"};
    to_->process(std::stoul(m.properties.at("number")));
    return random_() % 1'000 == 0 ? disposition::nack : disposition::ack;
  }

private:
  accounts* to_;
  std::minstd_rand random_;
};

} // namespace

int main(int argc, char** argv) {
  CLI::App app{"A pipeline under random faults"};
  std::uint16_t port = 0;
  double minutes = 1;
  unsigned seed = 1;
  app.add_option("--port", port)->required();
  app.add_option("--minutes", minutes);
  app.add_option("--seed", seed);
  CLI11_PARSE(app, argc, argv);
  caf::actor_system_config config;
  set_scheduler_sharing(config);
  caf::actor_system system{config};
  std::mt19937 random{seed};
  books b;
  proxy between{port};
  const topic_name topic{.topic = "soak-" + std::to_string(seed)};
  options o;
  o.hosts = {{"127.0.0.1", between.port()}};
  o.backoff = {.first = 20ms, .most = 2s};
  o.connect_timeout = 3s;
  o.ping_interval = 2s;
  o.pong_timeout = 2s;
  o.intensity = 100'000; // far more faults than in real life
  o.log = [](log_level, std::string_view, std::string_view) {};
  o.producers = {{.topic = topic, .send_timeout = 120s, .max_pending = 2'000}};
  const auto consumer = [&](const char* subscription, accounts* to) {
    consumer_options c{.topic = topic, .subscription = subscription, .type = subscription_type::shared};
    c.position = initial_position::earliest;
    c.processors = 3;
    c.negative_ack_redelivery_delay = 200ms;
    c.handler = make_handler<moody>(to, seed);
    return c;
  };
  o.consumers = {consumer("push", &b.pushed), consumer("pull", &b.pulled)};
  o.consumers[1].pull_mode = true;
  o.readers = {{.topic = topic, .start = start_at::earliest(), .handler = make_handler<note_number>(&b.read)}};
  auto tree = start(system, o);
  if (!tree || tree->wait_ready(60s)) {
    std::cerr << "soak: the tree does not stand\n";
    return 1;
  }
  std::cout << "soak: seed " << seed << ", " << minutes << " minutes" << std::endl;

  std::map<std::string, std::size_t> faults;
  const auto kill = [&](const std::string& component) {
    if (const auto who = tree->whereis({component, topic})) {
      send_exit(who, caf::exit_reason::kill);
      ++faults["killed " + component];
    }
  };
  const std::vector<std::string> victims{"consumer/push", "dispatcher/push", "processor/push/1", "consumer_ack/push",
                                         "consumer/pull", "dispatcher/pull", "processor/pull/0", "consumer_ack/pull",
                                         "reader",        "producer"};

  // -- the load: as fast as the producer and the slowest receiver let it
  std::atomic<bool> loading = true;
  std::thread load{[&] {
    const registry_key producer{topic};
    std::mutex mutex;
    std::condition_variable room;
    std::size_t under_way = 0;
    for (std::size_t n = 0; loading && n < most_messages; ++n) {
      {
        std::unique_lock lock{mutex};
        room.wait(lock, [&] { return under_way < 1'500; });
        ++under_way;
      }
      ++b.handed_over;
      tree->produce(producer, message{.payload = "soak", .properties = {{"number", std::to_string(n)}}},
                    [&, n](caf::expected<message_id> a) {
                      if (a) {
                        ++b.stored;
                        b.pushed.receipt(n);
                      } else if (code_of(a.error()) == errc::outcome_unknown) {
                        ++b.unknown;
                      } else {
                        ++b.failed;
                      }
                      const std::lock_guard guard{mutex};
                      --under_way;
                      room.notify_one();
                    });
      // Not so far ahead of the slowest that catching up would be most of the run.
      while (loading && b.stored > std::min({b.pushed.processed(), b.pulled.processed(), b.read.processed()}) + 50'000)
        std::this_thread::sleep_for(10ms);
    }
    std::unique_lock lock{mutex};
    room.wait_for(lock, 180s, [&] { return under_way == 0; });
  }};

  // -- the faults
  const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(minutes * 60);
  auto next_word = std::chrono::steady_clock::now() + 30s;
  while (std::chrono::steady_clock::now() < end) {
    std::this_thread::sleep_for(std::chrono::milliseconds{200 + random() % 1'500});
    const auto direction = random() % 2 == 0 ? way::up : way::down;
    switch (random() % 8) {
      case 0:
        between.cut();
        ++faults["cut"];
        break;
      case 1:
        between.cut_after(direction, static_cast<std::int64_t>(random() % 100'000));
        ++faults["cut at a byte"];
        break;
      case 2:
        between.stall(direction, true);
        std::this_thread::sleep_for(std::chrono::milliseconds{random() % 6'000});
        between.stall(direction, false);
        ++faults["stalled"];
        break;
      case 3:
        between.delay(direction, 20ms);
        std::this_thread::sleep_for(1s);
        between.delay(direction, 0ms);
        ++faults["delayed"];
        break;
      case 4:
        between.refuse(true);
        between.cut();
        std::this_thread::sleep_for(std::chrono::milliseconds{random() % 2'000});
        between.refuse(false);
        ++faults["refused"];
        break;
      case 5:
        between.answer(random() % 2 == 0 ? 500 : 503);
        between.cut();
        std::this_thread::sleep_for(std::chrono::milliseconds{random() % 1'000});
        between.answer(0);
        ++faults["handshakes answered 5xx"];
        break;
      default: kill(victims[random() % victims.size()]); break;
    }
    if (isatty(STDERR_FILENO) != 0 || std::chrono::steady_clock::now() > next_word) {
      std::cerr << "soak: " << b.stored << " stored, " << b.pushed.processed() << " and " << b.pulled.processed()
                << " handled, " << b.read.processed() << " read" << std::endl;
      next_word = std::chrono::steady_clock::now() + 30s;
    }
  }
  loading = false;
  load.join();

  // -- the verdict: every message that is stored was handled by both consumers and read
  const auto lost_by = [&](const accounts& a) { return b.pushed.receipted_but_not(a); };
  // As long as messages still come there is something to wait for.
  bool all_there = false;
  for (std::size_t before = 0, now = 1; !all_there && now != before;) {
    before = now;
    all_there = wait_until(std::chrono::steady_clock::now() + 60s,
                           [&] { return lost_by(b.pushed) == 0 && lost_by(b.pulled) == 0 && lost_by(b.read) == 0; });
    now = b.pushed.processed() + b.pulled.processed() + b.read.processed();
  }
  const auto snapshot = tree->inspect();
  const auto unanswered = b.handed_over - b.stored - b.failed - b.unknown;
  for (const auto& [what, count] : faults)
    std::cout << "soak: " << count << " x " << what << '\n';
  std::cout << "soak: " << b.handed_over << " handed over, " << b.stored << " stored, " << b.failed << " not stored, "
            << b.unknown << " unknown, " << unanswered << " unanswered; lost: " << lost_by(b.pushed) << " pushed, "
            << lost_by(b.pulled) << " pulled, " << lost_by(b.read)
            << " read; handled again: " << b.pushed.handled() - b.pushed.processed() << " pushed, "
            << b.pulled.handled() - b.pulled.processed() << " pulled, " << b.read.handled() - b.read.processed()
            << " read; " << snapshot.restarts << " restarts" << std::endl;
  const auto unclean = tree->stop();
  const bool fine = all_there && unanswered == 0 && !unclean;
  std::cout << "soak: " << (fine ? "nothing lost" : "FAILED") << std::endl;
  return fine ? 0 : 1;
}
