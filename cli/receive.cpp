#include "cli/common.hpp"

#include "libstargate/protocol/base64.hpp"
#include "libstargate/protocol/frames.hpp"
#include "libstargate/protocol/json.hpp"

#include <atomic>
#include <condition_variable>
#include <cstdio>
#include <map>
#include <mutex>

namespace stargate::cli {

namespace {

struct receive_options {
  std::string topic;
  std::string subscription;
  subscription_type type = subscription_type::exclusive;
  std::optional<initial_position> position;
  std::string from = "latest";
  std::uint64_t count = 0;
  std::size_t processors = 1;
  bool json = false;
  double timeout = 0;
};

std::string as_json(const received_message& m) {
  using namespace protocol;
  std::string line = R"({"messageId":)";
  static_cast<void>(json::append_string(line, m.id.value));
  const auto mark = line.size();
  line += R"(,"payload":)";
  if (!json::append_string(line, m.payload)) {
    line.resize(mark);
    line += R"(,"payloadBase64":")";
    append_base64(line, m.payload);
    line += '"';
  }
  line += R"(,"key":)";
  if (m.key)
    static_cast<void>(json::append_string(line, *m.key));
  else
    line += "null";
  line += R"(,"properties":{)";
  for (bool first = true; const auto& [name, value] : m.properties) {
    line += std::exchange(first, false) ? "" : ",";
    static_cast<void>(json::append_string(line, name));
    line += ':';
    static_cast<void>(json::append_string(line, value));
  }
  line += R"(},"publishTime":")" + format_instant(m.publish_time) + R"(","redeliveryCount":)"
          + std::to_string(m.redelivery_count) + "}";
  return line;
}

/// Where the messages go: standard output, a line each. Processors share it.
class printer {
public:
  printer(std::uint64_t count, bool json) : count_{count}, json_{json} {}

  disposition print(const received_message& m) {
    auto line = json_ ? as_json(m) : m.payload;
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
  }

  std::uint64_t printed() const { return printed_; }
  bool is_broken() const { return broken_; }

private:
  bool is_over() const { return closed_ || broken_ || (count_ > 0 && printed_ >= count_); }

  const std::uint64_t count_;
  const bool json_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::uint64_t printed_ = 0;
  bool broken_ = false;
  bool closed_ = false;
};

int receive(const global_options& g, const receive_options& o,
            const std::function<void(options&, handler_factory)>& add) {
  printer out{o.count, o.json};
  runtime r;
  options description;
  add(description, [&out](const received_message& m) { return out.print(m); });
  auto started = start_connected(r, g, std::move(description));
  if (!started)
    return fail(started.error());
  std::optional<std::chrono::steady_clock::time_point> deadline;
  if (o.timeout > 0)
    deadline = std::chrono::steady_clock::now() + milliseconds_of(o.timeout);
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

template <class Value>
void add_choice(CLI::App& sub, const char* flag, Value& value,
                const std::map<std::string, std::remove_cvref_t<Value>>& choices, const char* help) {
  sub.add_option(flag, value, help)->transform(CLI::CheckedTransformer{choices, CLI::ignore_case});
}

void add_common(CLI::App& sub, const std::shared_ptr<receive_options>& o) {
  sub.add_option("TOPIC", o->topic, "The topic")->required();
  sub.add_option("-n,--num-messages", o->count, "End after so many messages; 0 runs until interrupted")
    ->capture_default_str();
  sub.add_option("--processors", o->processors, "How many work at the same time; with more than one, order is lost")
    ->check(CLI::Range(std::size_t{1}, std::size_t{1024}))
    ->capture_default_str();
  sub
    .add_option_function<std::string>(
      "--format", [o](const std::string& text) { o->json = text == "json"; },
      "text: the payload a line; json: an object a line")
    ->check(CLI::IsMember{{"text", "json"}})
    ->default_str("text");
  sub
    .add_option("--timeout", o->timeout, "End with status 1 if -n messages did not come in so many seconds; 0 is never")
    ->check(CLI::Range(0.0, 86'400.0 * 365))
    ->capture_default_str();
}

void check_topic(const receive_options& o) {
  if (auto topic = parse_topic(o.topic); !topic)
    throw CLI::ValidationError{"TOPIC", describe(topic.error())};
}

} // namespace

void add_consume(CLI::App& app, const global_options& g, std::function<int()>& run) {
  auto o = std::make_shared<receive_options>();
  auto* sub = app.add_subcommand("consume", "Consume a topic under a subscription; what was printed is acknowledged");
  add_common(*sub, o);
  sub->add_option("-s,--subscription-name", o->subscription, "The subscription")->required();
  add_choice(*sub, "-t,--subscription-type", o->type,
             {{"exclusive", subscription_type::exclusive},
              {"failover", subscription_type::failover},
              {"shared", subscription_type::shared},
              {"key_shared", subscription_type::key_shared}},
             "How consumers share the subscription; exclusive by default");
  sub
    ->add_option_function<std::string>(
      "-p,--position,--subscription-position",
      [o](const std::string& text) {
        o->position = text == "earliest" ? initial_position::earliest : initial_position::latest;
      },
      "Where a new subscription begins: latest or earliest")
    ->check(CLI::IsMember{{"latest", "earliest"}});
  sub->callback([o, &g, &run] {
    check_topic(*o);
    if (o->subscription.empty())
      throw CLI::ValidationError{"-s", "the subscription's name is empty"};
    run = [o, &g] {
      return receive(g, *o, [&](options& description, handler_factory handler) {
        description.consumers = {{.topic = *parse_topic(o->topic),
                                  .subscription = o->subscription,
                                  .type = o->type,
                                  .position = o->position,
                                  .processors = o->processors,
                                  .handler = std::move(handler)}};
      });
    };
  });
}

void add_read(CLI::App& app, const global_options& g, std::function<int()>& run) {
  auto o = std::make_shared<receive_options>();
  auto* sub = app.add_subcommand("read", "Read a topic from a place on, without a subscription");
  add_common(*sub, o);
  sub->add_option("--from", o->from, "earliest, latest, or the id of the message behind which to begin")
    ->capture_default_str();
  sub->callback([o, &g, &run] {
    check_topic(*o);
    if (o->from.empty())
      throw CLI::ValidationError{"--from", "it is empty; write earliest, latest or an id"};
    run = [o, &g] {
      return receive(g, *o, [&](options& description, handler_factory handler) {
        description.readers = {{.topic = *parse_topic(o->topic),
                                .start = start_at{message_id{o->from}},
                                .processors = o->processors,
                                .handler = std::move(handler)}};
      });
    };
  });
}

} // namespace stargate::cli
