#include "cli/common.hpp"
#include "cli/log.hpp"

#include "libstargate/protocol/frames.hpp"
#include "libstargate/protocol/instant.hpp"

#include <algorithm>
#include <condition_variable>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <mutex>
#include <thread>
#include <unistd.h>

namespace stargate::cli {

namespace {

struct produce_options {
  std::string topic;
  std::vector<std::string> messages;
  std::string file;
  std::optional<std::string> key;
  std::vector<std::string> properties;
  std::uint64_t times = 1;
  double rate = 0;
  bool print_ids = false;
  std::chrono::milliseconds send_timeout{86'400'000};
  std::optional<std::string> event_time;
  std::optional<std::string> deliver_at;
  std::chrono::milliseconds deliver_after{0};
  std::vector<std::string> replication_clusters;
  std::shared_ptr<producer_options> producer = std::make_shared<producer_options>();
};

/// Hands messages to a producer without waiting for each: at most a window of them is under way.
class pipe {
public:
  pipe(const tree& t, registry_key producer, bool print_ids, std::size_t window)
    : window_{window},
      tree_{t},
      producer_{std::move(producer)},
      print_ids_{print_ids},
      progress_{isatty(STDERR_FILENO) == 1} {}

  /// Blocks while the window is full. False once a message has failed.
  bool send(message m) {
    {
      std::unique_lock lock{mutex_};
      wait(lock, [this] { return under_way_ < window_ || failure_; });
      if (failure_ || is_interrupted())
        return false;
      ++under_way_;
    }
    tree_.produce(producer_, std::move(m), [this](caf::expected<message_id> answer) { take(std::move(answer)); });
    return true;
  }

  /// Waits for the answers, unless the user interrupts; then stops the tree, which answers what is left.
  void finish() {
    std::unique_lock lock{mutex_};
    wait(lock, [this] { return under_way_ == 0; });
    lock.unlock();
    if (auto unclean = tree_.stop(); unclean && !failure_)
      failure_ = std::move(unclean);
    lock.lock();
    changed_.wait(lock, [this] { return under_way_ == 0; });
    if (progress_ && shown_)
      std::fputs("\r\033[K", stderr);
  }

  std::uint64_t stored() const { return stored_; }
  const std::optional<caf::error>& failure() const { return failure_; }

private:
  const std::size_t window_; // at most max_pending, so none is refused

  /// Waits until `enough` or the user interrupts. A signal wakes nobody, so the wait looks up now and then.
  template <class Enough>
  void wait(std::unique_lock<std::mutex>& lock, Enough enough) {
    while (!is_interrupted() && !changed_.wait_for(lock, std::chrono::milliseconds{100}, enough)) {
    }
  }

  void take(caf::expected<message_id> answer) {
    // Told under the lock: once nothing is under way, this object may go.
    const std::lock_guard guard{mutex_};
    --under_way_;
    if (answer) {
      ++stored_;
      if (print_ids_)
        std::cout << answer->value << '\n';
      if (progress_ && stored_ % 1000 == 0) {
        std::fprintf(stderr, "\r%llu messages stored", static_cast<unsigned long long>(stored_));
        shown_ = true;
      }
    } else if (!failure_) {
      failure_ = std::move(answer.error());
    }
    changed_.notify_all();
  }

  const tree& tree_;
  const registry_key producer_;
  const bool print_ids_;
  const bool progress_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::size_t under_way_ = 0;
  std::uint64_t stored_ = 0;
  bool shown_ = false;
  std::optional<caf::error> failure_;
};

/// Waits so that messages leave at `--rate`.
class pacer {
public:
  explicit pacer(double rate) : rate_{rate} {}
  void wait() {
    if (rate_ <= 0)
      return;
    const auto due = begin_
                     + std::chrono::duration_cast<std::chrono::steady_clock::duration>(
                       std::chrono::duration<double>(static_cast<double>(count_++) / rate_));
    while (!is_interrupted() && std::chrono::steady_clock::now() < due)
      std::this_thread::sleep_until(std::min(due, std::chrono::steady_clock::now() + std::chrono::milliseconds{100}));
  }

private:
  double rate_;
  std::uint64_t count_ = 0;
  std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
};

/// Calls `use` for each message of the command line and each line of the file, until it gives false.
caf::error each_message(const produce_options& o, const std::function<bool(const std::string&)>& use) {
  for (const auto& text : o.messages)
    if (!use(text))
      return {};
  if (o.file.empty())
    return {};
  std::ifstream opened;
  if (o.file != "-") {
    opened.open(o.file, std::ios::binary);
    if (!opened)
      return make_error(errc::invalid_message, "cannot open '" + o.file + "' (-f)");
  }
  auto& in = o.file == "-" ? std::cin : opened;
  for (std::string line; !is_interrupted() && std::getline(in, line);)
    if (!use(line))
      return {};
  if (in.bad())
    return make_error(errc::invalid_message, "cannot read '" + o.file + "' (-f) to its end");
  return {};
}

int produce(const global_options& g, const produce_options& o) {
  auto topic = parse_topic(o.topic);
  if (!topic)
    return fail(topic.error());
  message pattern{.key = o.key};
  for (const auto& property : o.properties) {
    const auto equals = property.find('=');
    pattern.properties[property.substr(0, equals)] = property.substr(equals + 1);
  }
  const auto instant = [](const std::optional<std::string>& text) {
    std::optional<std::chrono::system_clock::time_point> at;
    if (text)
      static_cast<void>(protocol::parse_instant(*text, at.emplace())); // was checked
    return at;
  };
  pattern.event_time = instant(o.event_time);
  pattern.deliver_at = instant(o.deliver_at);
  if (o.deliver_after.count() > 0)
    pattern.deliver_after = o.deliver_after;
  pattern.replication_clusters = o.replication_clusters;
  runtime r;
  pipelines description;
  description.producers = {*o.producer};
  description.producers[0].topic = *topic;
  description.producers[0].send_timeout = o.send_timeout;
  auto started = start_connected(r, g, std::move(description));
  if (!started)
    return fail(started.error());
  pipe out{*started, registry_key{"producer", *topic, "cli"}, o.print_ids,
           std::min<std::size_t>(500, o.producer->max_pending)};
  pacer pace{o.rate};
  caf::error unreadable;
  const auto send_one = [&](const std::string& text) {
    pace.wait();
    auto m = pattern;
    m.payload = text;
    return !is_interrupted() && out.send(std::move(m));
  };
  if (o.times == 1) {
    unreadable = each_message(o, send_one);
  } else {
    std::vector<std::string> all;
    unreadable = each_message(o, [&](const std::string& text) {
      all.push_back(text);
      return true;
    });
    bool going = !unreadable;
    for (std::uint64_t i = 0; going && i < o.times; ++i)
      for (const auto& text : all)
        if (!(going = send_one(text)))
          break;
  }
  out.finish();
  std::cout.flush();
  report(std::to_string(out.stored()) + " messages produced");
  if (unreadable)
    return fail(unreadable);
  if (out.failure())
    return fail(*out.failure());
  if (!std::cout)
    return fail(std::string{"cannot write the ids to standard output"});
  return done;
}

} // namespace

void add_produce(CLI::App& app, const global_options& g, std::function<int()>& run) {
  auto o = std::make_shared<produce_options>();
  auto* sub = app.add_subcommand("produce", "Produce messages to a topic");
  sub->add_option("TOPIC", o->topic, "The topic")->required();
  sub->add_option("-m,--messages", o->messages, "A message; may be given several times")
    ->take_all()
    ->expected(1)
    ->allow_extra_args(false);
  sub->add_option("-f,--files", o->file, "A file with a message a line; - is standard input");
  sub->add_option("-k,--key", o->key, "The key of every message");
  sub
    ->add_option("-p,--properties", o->properties, "A property NAME=VALUE of every message; may be given several times")
    ->take_all()
    ->expected(1)
    ->allow_extra_args(false)
    ->check(CLI::Validator{[](const std::string& text) {
                             const auto equals = text.find('=');
                             return equals == std::string::npos || equals == 0 ? "'" + text + "' is not NAME=VALUE"
                                                                               : std::string{};
                           },
                           "NAME=VALUE"});
  sub->add_option("-n,--num-produce", o->times, "How many times everything is produced")
    ->check(CLI::Range(std::uint64_t{1}, std::uint64_t{1'000'000'000'000}))
    ->capture_default_str();
  sub->add_option("-r,--rate", o->rate, "Messages a second; 0 is as fast as it goes")
    ->check(CLI::Range(0.0, 1e9))
    ->capture_default_str();
  add_duration(*sub, "--send-timeout", o->send_timeout,
               "How long a message may wait for its receipt; longer outages are failures",
               std::chrono::milliseconds{1});
  const CLI::Validator is_instant{[](const std::string& text) {
                                    std::chrono::system_clock::time_point at;
                                    return protocol::parse_instant(text, at)
                                             ? std::string{}
                                             : "'" + text + "' is not a time such as 2026-01-31T12:00:00Z";
                                  },
                                  "TIME"};
  sub->add_option("--event-time", o->event_time, "When what the messages tell happened")->check(is_instant);
  sub->add_option("--deliver-at", o->deliver_at, "Shared and Key_Shared subscriptions get the messages at this time")
    ->check(is_instant);
  add_duration(*sub, "--deliver-after", o->deliver_after, "The same, from now on", std::chrono::milliseconds{0});
  sub
    ->add_option("--replication-cluster", o->replication_clusters,
                 "A cluster to replicate to; may be given several times")
    ->take_all()
    ->expected(1)
    ->allow_extra_args(false);
  add_table(*sub, o->producer, {{"topic", ""}, {"send_timeout", ""}});
  sub->add_flag("--print-ids", o->print_ids, "Print the id of each stored message on standard output");
  sub->callback([o, &g, &run] {
    if (o->messages.empty() && o->file.empty())
      throw CLI::RequiredError{"a message (-m) or a file (-f)"};
    if (auto topic = parse_topic(o->topic); !topic)
      throw CLI::ValidationError{"TOPIC", describe(topic.error())};
    run = [o, &g] { return produce(g, *o); };
  });
}

} // namespace stargate::cli
