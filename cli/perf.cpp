#include "cli/common.hpp"
#include "cli/histogram.hpp"

#include <atomic>
#include <condition_variable>
#include <cstdio>
#include <iostream>
#include <limits>
#include <mutex>
#include <sys/resource.h>
#include <thread>
#include <unistd.h>

namespace stargate::cli {

namespace {

using clock = std::chrono::steady_clock;
using std::chrono::microseconds;

struct perf_options {
  std::string topic;
  std::uint64_t messages = 0; ///< 0 is no end.
  double duration = 0;        ///< Seconds; 0 is no end.
  double rate = 0;
  std::size_t size = 1024;
  std::size_t outstanding = 1000;
  std::size_t pipelines = 1; ///< Producers, consumers or readers, each with a topic of its own if there are several.
  std::uint64_t warm_up = 0;
  bool blocking = false;
  bool json = false;
};

microseconds processor_time() {
  rusage used{};
  ::getrusage(RUSAGE_SELF, &used);
  const auto of = [](const timeval& t) { return std::chrono::seconds{t.tv_sec} + microseconds{t.tv_usec}; };
  return of(used.ru_utime) + of(used.ru_stime);
}

/// Counts messages and their times, from any thread; what came during the warm-up does not count.
class meter {
public:
  explicit meter(const perf_options& o) : options_{o} {}

  void add(microseconds latency) {
    const std::lock_guard guard{mutex_};
    if (++seen_ == options_.warm_up + 1) {
      began_ = clock::now();
      used_ = processor_time();
    }
    if (seen_ <= options_.warm_up)
      return;
    latencies_.add(latency);
    if (options_.messages > 0 && latencies_.count() == options_.messages)
      end();
  }
  void fail(caf::error why) {
    const std::lock_guard guard{mutex_};
    ++failed_;
    if (!failure_)
      failure_ = std::move(why);
  }
  /// Nothing more comes.
  void finish() {
    const std::lock_guard guard{mutex_};
    if (!done_)
      end();
  }
  [[nodiscard]] bool is_done() const { return done_; }

  /// Waits for the end: so many messages, so much time, or an interruption. Says every second how it goes.
  void wait() {
    const bool live = isatty(STDERR_FILENO) == 1;
    const auto until = clock::now() + milliseconds_of(options_.duration);
    auto next = clock::now() + std::chrono::seconds{1};
    std::uint64_t last = 0;
    std::unique_lock lock{mutex_};
    while (!done_ && !is_interrupted() && (options_.duration <= 0 || clock::now() < until)) {
      changed_.wait_for(lock, std::chrono::milliseconds{50});
      if (!live || clock::now() < next)
        continue;
      next += std::chrono::seconds{1};
      std::fprintf(stderr, "\r\033[K%llu messages/s, median %lld us, 99%% within %lld us",
                   static_cast<unsigned long long>(latencies_.count() - last),
                   static_cast<long long>(latencies_.percentile(50).count()),
                   static_cast<long long>(latencies_.percentile(99).count()));
      last = latencies_.count();
    }
    if (live)
      std::fputs("\r\033[K", stderr);
    if (!done_)
      end();
  }

  int report() {
    const std::lock_guard guard{mutex_};
    const auto seconds = std::chrono::duration<double>(ended_ - began_).count();
    const auto count = static_cast<double>(latencies_.count());
    rusage used{};
    ::getrusage(RUSAGE_SELF, &used);
    const auto at = [&](double p) { return static_cast<long long>(latencies_.percentile(p).count()); };
    std::printf(
      options_.json
        ? "{\"messages\":%llu,\"failed\":%llu,\"seconds\":%.4f,\"rate\":%.1f,\"processorMicros\":%.3f,"
          "\"medianMicros\":%lld,\"p95Micros\":%lld,\"p99Micros\":%lld,\"p999Micros\":%lld,\"maxMicros\":%lld,"
          "\"residentKiB\":%ld}\n"
        : "%llu messages, %llu failed, in %.2f s: %.0f messages/s, %.2f us of processor time each\n"
          "latency: median %lld us, 95%% within %lld us, 99%% %lld us, 99.9%% %lld us, most %lld us; at most "
          "%ld KiB resident\n",
      static_cast<unsigned long long>(latencies_.count()), static_cast<unsigned long long>(failed_), seconds,
      seconds > 0 ? count / seconds : 0.0, count > 0 ? static_cast<double>(used_.count()) / count : 0.0, at(50), at(95),
      at(99), at(99.9), static_cast<long long>(latencies_.most().count()), used.ru_maxrss);
    std::fflush(stdout);
    return failure_ ? cli::fail(*failure_) : done;
  }

private:
  void end() {
    ended_ = clock::now();
    used_ = processor_time() - used_;
    done_ = true;
    changed_.notify_all();
  }

  const perf_options options_;
  std::mutex mutex_;
  std::condition_variable changed_;
  histogram latencies_;
  std::uint64_t seen_ = 0, failed_ = 0;
  std::optional<caf::error> failure_;
  clock::time_point began_ = clock::now(), ended_ = began_;
  microseconds used_{0};
  std::atomic<bool> done_{false};
};

std::vector<topic_name> topics_of(const perf_options& o, const topic_name& topic) {
  if (o.pipelines == 1)
    return {topic};
  std::vector<topic_name> all;
  for (std::size_t i = 0; i < o.pipelines; ++i) {
    all.push_back(topic);
    all.back().topic += "-" + std::to_string(i);
  }
  return all;
}

/// Hands messages to producers, as many as may be outstanding, and as fast as the rate allows.
class load {
public:
  load(const perf_options& o, const tree& t, std::vector<registry_key> producers, meter& m)
    : options_{o},
      tree_{t},
      producers_{std::move(producers)},
      meter_{m} {}

  void run() {
    const std::string payload(options_.size, 'x');
    const auto began = clock::now();
    const auto all = options_.messages > 0 ? options_.messages + options_.warm_up : no_end;
    std::uint64_t handed = 0;
    for (std::size_t next = 0; handed < all && !meter_.is_done() && !is_interrupted(); ++next) {
      const auto& producer = producers_[next % producers_.size()];
      if (options_.blocking) {
        ++handed;
        const auto sent = clock::now();
        take(tree_.produce(producer, message{.payload = payload}), sent);
        continue;
      }
      auto room = std::min<std::uint64_t>(wait_for_room(), all - handed);
      if (options_.rate > 0) {
        const auto due =
          static_cast<std::uint64_t>(std::chrono::duration<double>(clock::now() - began).count() * options_.rate);
        if (due <= handed) {
          std::this_thread::sleep_for(microseconds{200});
          continue;
        }
        room = std::min(room, due - handed);
      }
      handed += room;
      under_way_ += room;
      const auto sent = clock::now();
      tree_.produce(producer, std::vector<message>(room, message{.payload = payload}),
                    [this, sent](std::size_t, const caf::expected<message_id>& answer) {
                      take(answer, sent);
                      if (under_way_.fetch_sub(1) == options_.outstanding - batch_) {
                        const std::lock_guard guard{mutex_};
                        changed_.notify_one();
                      }
                    });
    }
    std::unique_lock lock{mutex_};
    const auto none_is_under_way = [this] { return under_way_ == 0; };
    while (!meter_.is_done() && !is_interrupted() && !none_is_under_way())
      changed_.wait_for(lock, std::chrono::milliseconds{10}, none_is_under_way);
    meter_.finish();
    changed_.wait_for(lock, std::chrono::seconds{10}, none_is_under_way); // receipts refer to this object
  }

private:
  static constexpr std::size_t most_at_once = 100;
  static constexpr auto no_end = std::numeric_limits<std::uint64_t>::max();

  std::size_t wait_for_room() {
    const auto room = [this] { return options_.outstanding - std::min<std::size_t>(under_way_, options_.outstanding); };
    if (room() < batch_) {
      std::unique_lock lock{mutex_};
      changed_.wait_for(lock, std::chrono::milliseconds{10}, [&] { return room() >= batch_ || meter_.is_done(); });
    }
    return std::min(room(), most_at_once);
  }

  void take(const caf::expected<message_id>& answer, clock::time_point sent) {
    if (answer)
      meter_.add(std::chrono::duration_cast<microseconds>(clock::now() - sent));
    else
      meter_.fail(answer.error());
  }

  const perf_options options_;
  /// Room for so many is waited for: a tenth of what may be outstanding, so that nearly that many always are.
  const std::size_t batch_ = std::clamp(options_.outstanding / 10, std::size_t{1}, most_at_once);
  const tree& tree_;
  const std::vector<registry_key> producers_;
  meter& meter_;
  std::atomic<std::size_t> under_way_{0};
  std::mutex mutex_;
  std::condition_variable changed_;
};

int perf_produce(const global_options& g, const perf_options& o, const producer_options& producer) {
  const auto topic = parse_topic(o.topic);
  runtime r;
  options description;
  std::vector<registry_key> keys;
  for (const auto& t : topics_of(o, *topic)) {
    description.producers.push_back(producer);
    description.producers.back().topic = t;
    description.producers.back().max_pending = std::max(producer.max_pending, o.outstanding);
    keys.emplace_back("producer", t, "cli");
  }
  auto started = start_connected(r, g, std::move(description));
  if (!started)
    return fail(started.error());
  meter m{o};
  load l{o, *started, std::move(keys), m};
  std::thread loading{[&] { l.run(); }};
  m.wait();
  loading.join();
  const auto status = m.report();
  static_cast<void>(started->stop());
  return status;
}

template <class Options>
int perf_receive(const global_options& g, const perf_options& o, const Options& pattern,
                 std::vector<Options> options::*list) {
  const auto topic = parse_topic(o.topic);
  runtime r;
  meter m{o};
  options description;
  for (const auto& t : topics_of(o, *topic)) {
    auto& one = (description.*list).emplace_back(pattern);
    one.topic = t;
    one.handler = [&m](const received_message& message) {
      m.add(std::chrono::duration_cast<microseconds>(std::chrono::system_clock::now() - message.publish_time));
      return disposition::ack;
    };
  }
  auto started = start_connected(r, g, std::move(description));
  if (!started)
    return fail(started.error());
  m.wait();
  const auto status = m.report();
  static_cast<void>(started->stop());
  return status;
}

void add_common(CLI::App& sub, const std::shared_ptr<perf_options>& o) {
  sub.add_option("TOPIC", o->topic, "The topic")->required();
  sub.add_option("-m,--num-messages", o->messages, "End after so many messages; 0 goes on")->capture_default_str();
  sub.add_option("--test-duration", o->duration, "End after so many seconds; 0 goes on")
    ->check(CLI::Range(0.0, 86'400.0 * 365))
    ->capture_default_str();
  sub.add_option("--warm-up", o->warm_up, "So many messages do not count")->capture_default_str();
  sub
    .add_option_function<std::string>(
      "--format", [o](const std::string& text) { o->json = text == "json"; }, "text, or json: one object")
    ->check(CLI::IsMember{{"text", "json"}})
    ->default_str("text");
}

void check(const std::string& topic) {
  if (const auto parsed = parse_topic(topic); !parsed)
    throw CLI::ValidationError{"TOPIC", describe(parsed.error())};
}

} // namespace

void add_perf(CLI::App& app, const global_options& g, std::function<int()>& run) {
  auto* perf = app.add_subcommand("perf", "Measure throughput, latency and processor time");
  perf->require_subcommand(1);

  auto o = std::make_shared<perf_options>();
  auto producer = std::make_shared<producer_options>();
  auto* produce = perf->add_subcommand("produce", "Produce as fast as it goes, or at a rate");
  add_common(*produce, o);
  produce->add_option("-r,--rate", o->rate, "Messages a second; 0 is as fast as it goes")
    ->check(CLI::Range(0.0, 1e9))
    ->capture_default_str();
  produce->add_option("-s,--size", o->size, "Bytes of each payload")
    ->check(CLI::Range(std::size_t{0}, std::size_t{780'000}))
    ->capture_default_str();
  produce->add_option("-o,--max-outstanding", o->outstanding, "Messages that await their receipts at the same time")
    ->check(CLI::Range(std::size_t{1}, std::size_t{1'000'000}))
    ->capture_default_str();
  produce->add_option("-n,--num-producers", o->pipelines, "Producers; several have a topic each, TOPIC-0 and so on")
    ->check(CLI::Range(std::size_t{1}, std::size_t{10'000}))
    ->capture_default_str();
  produce->add_flag("--blocking", o->blocking, "One message after the other, each waiting for its receipt");
  add_table(*produce, producer, {{"topic", ""}, {"max_pending", ""}});
  produce->callback([o, producer, &g, &run] {
    check(o->topic);
    run = [o, producer, &g] { return perf_produce(g, *o, *producer); };
  });

  auto oc = std::make_shared<perf_options>();
  auto consumer = std::make_shared<consumer_options>();
  consumer->subscription = "perf";
  auto* consume = perf->add_subcommand("consume", "Consume and acknowledge with a handler that does nothing");
  add_common(*consume, oc);
  consume->add_option("-n,--num-consumers", oc->pipelines, "Consumers; several have a topic each, TOPIC-0 and so on")
    ->check(CLI::Range(std::size_t{1}, std::size_t{10'000}))
    ->capture_default_str();
  add_table(*consume, consumer,
            {{"topic", ""}, {"topics", ""}, {"topics_pattern", ""}, {"subscription", "-s,--subscription"}});
  consume->callback([oc, consumer, &g, &run] {
    check(oc->topic);
    run = [oc, consumer, &g] { return perf_receive(g, *oc, *consumer, &options::consumers); };
  });

  auto orr = std::make_shared<perf_options>();
  auto reader = std::make_shared<reader_options>();
  auto* read = perf->add_subcommand("read", "Read with a handler that does nothing");
  add_common(*read, orr);
  add_table(*read, reader,
            {{"topic", ""},
             {"start", "--from"},
             {"on_failure", ""},
             {"dead_letter_topic", ""},
             {"dead_letter_subscription", ""}});
  read->callback([orr, reader, &g, &run] {
    check(orr->topic);
    run = [orr, reader, &g] { return perf_receive(g, *orr, *reader, &options::readers); };
  });
}

} // namespace stargate::cli
