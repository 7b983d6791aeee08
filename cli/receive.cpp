#include "cli/common.hpp"
#include "cli/message_json.hpp"

#include <atomic>
#include <condition_variable>
#include <cstdio>
#include <mutex>
#include <unistd.h>

namespace stargate::cli {

namespace {

struct receive_options {
  std::string topic;
  std::uint64_t count = 0;
  bool json = false;
  std::chrono::milliseconds timeout{0}; ///< Or 0 for never.
};

/// Where the messages go: standard output, a line each. Processors share it.
class printer {
public:
  printer(std::uint64_t count, bool json) : count_{count}, json_{json} {}

  disposition print(const received_message& m) {
    auto line = json_ ? json_of(m) : m.payload;
    line += '\n';
    const std::lock_guard guard{mutex_};
    if (is_over())
      return disposition::continue_; // the broker keeps it for somebody else
    if (std::fwrite(line.data(), 1, line.size(), stdout) != line.size() || std::fflush(stdout) != 0) {
      broken_ = true;
      changed_.notify_all();
      return disposition::continue_;
    }
    ++printed_;
    if (progress_ && printed_ % 1000 == 0)
      std::fprintf(stderr, "\r%llu messages", static_cast<unsigned long long>(printed_));
    if (is_over())
      changed_.notify_all();
    return disposition::ack;
  }

  /// Waits until COUNT messages are out, the output is broken, the time is over or the user interrupts.
  void wait(std::optional<std::chrono::steady_clock::time_point> deadline) {
    std::unique_lock lock{mutex_};
    while (!is_over() && !is_interrupted() && (!deadline || std::chrono::steady_clock::now() < *deadline)) {
      // A signal wakes nobody, so the wait looks up now and then.
      const auto look_up = std::chrono::steady_clock::now() + std::chrono::milliseconds{50};
      changed_.wait_until(lock, deadline ? std::min(*deadline, look_up) : look_up);
    }
    closed_ = true;
    if (progress_ && printed_ >= 1000)
      std::fputs("\r\033[K", stderr);
  }

  std::uint64_t printed() const { return printed_; }
  bool is_broken() const { return broken_; }

private:
  bool is_over() const { return closed_ || broken_ || (count_ > 0 && printed_ >= count_); }

  const std::uint64_t count_;
  const bool json_;
  const bool progress_ = isatty(STDERR_FILENO) == 1 && isatty(STDOUT_FILENO) == 0; ///< The messages go elsewhere.
  std::mutex mutex_;
  std::condition_variable changed_;
  std::uint64_t printed_ = 0;
  bool broken_ = false;
  bool closed_ = false;
};

int receive(const global_options& g, const receive_options& o,
            const std::function<void(pipelines&, handler_factory)>& add) {
  printer out{o.count, o.json};
  runtime r;
  pipelines description;
  add(description, [&out](const received_message& m) { return out.print(m); });
  auto started = start_connected(r, g, std::move(description));
  if (!started)
    return fail(started.error());
  std::optional<std::chrono::steady_clock::time_point> deadline;
  if (o.timeout.count() > 0)
    deadline = std::chrono::steady_clock::now() + o.timeout;
  out.wait(deadline);
  const auto unclean = started->stop();
  if (out.is_broken())
    return fail("cannot write to standard output; " + std::to_string(out.printed()) + " messages were written");
  if (o.count > 0 && out.printed() < o.count && !is_interrupted())
    return fail(std::to_string(out.printed()) + " of " + std::to_string(o.count) + " messages came from " + o.topic
                + " at " + g.url + " within --timeout");
  if (unclean)
    return fail(unclean);
  return done;
}

void add_common(CLI::App& sub, const std::shared_ptr<receive_options>& o) {
  sub.add_option("-n,--num-messages", o->count, "End after so many messages; 0 runs until interrupted")
    ->capture_default_str();
  sub
    .add_option_function<std::string>(
      "--format", [o](const std::string& text) { o->json = text == "json"; },
      "text: the payload a line; json: an object a line")
    ->check(CLI::IsMember{{"text", "json"}})
    ->default_str("text");
  add_duration(sub, "--timeout", o->timeout, "End with status 1 if -n messages did not come in this time; 0 is never",
               std::chrono::milliseconds{0});
}

topic_name checked_topic(const std::string& text) {
  auto topic = parse_topic(text);
  if (!topic)
    throw CLI::ValidationError{"TOPIC", describe(topic.error())};
  return std::move(*topic);
}

} // namespace

void add_consume(CLI::App& app, const global_options& g, std::function<int()>& run) {
  auto o = std::make_shared<receive_options>();
  auto c = std::make_shared<consumer_options>();
  auto* sub = app.add_subcommand("consume", "Consume a topic under a subscription; what was printed is acknowledged");
  sub->add_option("TOPIC", o->topic, "The topic; without one, --topics or --topics-pattern");
  add_common(*sub, o);
  add_table(*sub, c,
            {{"topic", ""},
             {"subscription", "-s,--subscription-name,--subscription"},
             {"type", "-t,--subscription-type"},
             {"mode", "--subscription-mode"},
             {"position", "-p,--position,--subscription-position"}});
  sub->get_option("--subscription")->required();
  sub->callback([o, c, &g, &run] {
    if (!o->topic.empty() || (c->topics.empty() && c->topics_pattern.empty()))
      c->topic = checked_topic(o->topic);
    else
      o->topic = to_string(protocol::registered_topic(*c));
    if (c->subscription.empty())
      throw CLI::ValidationError{"-s", "the subscription's name is empty"};
    run = [o, c, &g] {
      return receive(g, *o, [&](pipelines& description, handler_factory handler) {
        description.consumers = {*c};
        description.consumers[0].handler = std::move(handler);
      });
    };
  });
}

void add_read(CLI::App& app, const global_options& g, std::function<int()>& run) {
  auto o = std::make_shared<receive_options>();
  auto reader = std::make_shared<reader_options>();
  auto* sub = app.add_subcommand("read", "Read a topic from a place on, without a subscription");
  sub->add_option("TOPIC", o->topic, "The topic")->required();
  add_common(*sub, o);
  add_table(*sub, reader,
            {{"topic", ""},
             {"start", "--from"},
             {"on_failure", ""},
             {"dead_letter_topic", ""},
             {"dead_letter_subscription", ""}});
  sub->callback([o, reader, &g, &run] {
    reader->topic = checked_topic(o->topic);
    run = [o, reader, &g] {
      return receive(g, *o, [&](pipelines& description, handler_factory handler) {
        description.readers = {*reader};
        description.readers[0].handler = std::move(handler);
      });
    };
  });
}

} // namespace stargate::cli
