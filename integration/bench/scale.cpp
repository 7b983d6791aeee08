// Many supervised pipelines in one process, each a producer and a consumer on a topic of its own.
//
//     stargate-scale PORT PIPELINES TOPIC [--scheduler]
//
// It prints one JSON object when all are connected: what they took. Then it waits for a line on standard input, which
// says that the broker was restarted, and prints another when all are connected again. --scheduler: handlers run on the
// actor system's threads instead of having one each.
#include "integration/load.hpp"

#include <stargate/stargate.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <mutex>
#include <string>
#include <unistd.h>
#include <vector>

namespace {

using namespace stargate;
using namespace stargate::compat;
using namespace std::chrono_literals;
using clock_type = std::chrono::steady_clock;

constexpr auto patience = 240s;

double resident_kib() {
  std::ifstream statm{"/proc/self/statm"};
  double all = 0, resident = 0;
  statm >> all >> resident;
  return resident * static_cast<double>(sysconf(_SC_PAGESIZE)) / 1024;
}

double seconds_since(clock_type::time_point began) {
  return std::chrono::duration<double>(clock_type::now() - began).count();
}

/// When connections were made. @par Threads any thread
class connections {
public:
  void add() {
    const std::lock_guard guard{mutex_};
    times_.push_back(clock_type::now());
  }
  void clear() {
    const std::lock_guard guard{mutex_};
    times_.clear();
  }
  std::size_t count() const {
    const std::lock_guard guard{mutex_};
    return times_.size();
  }
  std::vector<clock_type::time_point> all() const {
    const std::lock_guard guard{mutex_};
    return times_;
  }

private:
  mutable std::mutex mutex_;
  std::vector<clock_type::time_point> times_;
};

/// The most that were made within a tenth of a second.
std::size_t most_at_once(const std::vector<clock_type::time_point>& times) {
  std::size_t most = 0;
  for (auto first = times.begin(), last = first; last != times.end(); ++last) {
    while (*last - *first > 100ms)
      ++first;
    most = std::max(most, static_cast<std::size_t>(last - first) + 1);
  }
  return most;
}

} // namespace

int main(int argc, char** argv) {
  if (argc < 4 || argc > 5) {
    std::fprintf(stderr, "usage: stargate-scale PORT PIPELINES TOPIC [--scheduler]\n");
    return 2;
  }
  const auto pipelines = std::strtoull(argv[2], nullptr, 10);
  caf::actor_system_config config;
  set_scheduler_sharing(config);
  caf::actor_system system{config};
  connections connected;
  std::atomic<std::size_t> attempts_failed = 0;

  options o;
  o.hosts = {{"127.0.0.1", static_cast<std::uint16_t>(std::atoi(argv[1]))}};
  o.log = [&](log_level, std::string_view, std::string_view text) {
    if (text.starts_with("connected to"))
      connected.add();
    else if (text.find("next attempt in") != std::string_view::npos)
      ++attempts_failed;
  };
  std::atomic<std::size_t> handled = 0;
  for (std::size_t i = 0; i < pipelines; ++i) {
    const topic_name topic{.topic = std::string{argv[3]} + "-" + std::to_string(i)};
    o.producers.push_back({.topic = topic});
    o.consumers.push_back({.topic = topic, .subscription = "scale", .handler = [&](const received_message&) {
                             ++handled;
                             return disposition::ack;
                           }});
    if (argc == 5)
      o.consumers.back().run_on = run_on::scheduler;
  }
  const auto before = resident_kib();
  const auto began = clock_type::now();
  auto started = start(system, std::move(o));
  const auto standing = seconds_since(began);
  const auto standing_kib = resident_kib() - before;
  const auto trouble = started ? started->wait_ready(patience) : started.error();
  if (trouble) {
    std::fprintf(stderr, "stargate-scale: %s\n", describe(trouble).c_str());
    return 1;
  }
  const auto n = static_cast<double>(pipelines);
  std::printf(
    "{\"pipelines\":%llu,\"standSeconds\":%.4f,\"connectSeconds\":%.4f,\"standKiB\":%.1f,\"connectedKiB\":%.1f}\n",
    static_cast<unsigned long long>(pipelines), standing, seconds_since(began), standing_kib / n,
    (resident_kib() - before) / n);
  std::fflush(stdout);
  connected.clear();
  attempts_failed = 0;
  if (std::string line; !std::getline(std::cin, line))
    return 0;
  const auto deadline = clock_type::now() + patience;
  static_cast<void>(integration::wait_until(deadline, [&] { return connected.count() >= 2 * pipelines; }));
  auto times = connected.all();
  std::sort(times.begin(), times.end());
  if (times.size() < 2 * pipelines) {
    std::fprintf(stderr, "stargate-scale: only %zu of %llu connected again\n", times.size(), 2 * pipelines);
    return 1;
  }
  // Each has to work, too.
  handled = 0;
  std::atomic<std::size_t> stored = 0;
  for (const auto& key : started->keys({.component = "producer"}))
    started->produce(key, message{.payload = "x"}, [&](const caf::expected<message_id>& id) { stored += id ? 1 : 0; });
  static_cast<void>(integration::wait_until(deadline, [&] { return stored >= pipelines && handled >= pipelines; }));
  // After the first that the broker took again.
  const auto after = [&](std::size_t part) {
    const auto nth = std::max<std::size_t>(part * times.size() / 100, 1) - 1;
    return std::chrono::duration<double>(times[nth] - times.front()).count();
  };
  std::printf(
    "{\"pipelines\":%llu,\"medianSeconds\":%.3f,\"allSeconds\":%.3f,\"mostIn100ms\":%zu,\"attemptsFailed\":%zu,"
    "\"stored\":%zu,\"handled\":%zu,\"restarts\":%llu}\n",
    static_cast<unsigned long long>(pipelines), after(50), after(100), most_at_once(times), attempts_failed.load(),
    stored.load(), handled.load(), static_cast<unsigned long long>(started->inspect().restarts));
  return stored == pipelines && handled >= pipelines ? 0 : 1;
}
