// The commands `perf produce`, `perf consume` and `perf read`.
#include "cli/common.hpp"
#include "cli/perf_load.hpp"
#include "cli/perf_meter.hpp"
#include "cli/perf_options.hpp"

#include <algorithm>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

namespace stargate::cli {

namespace {

using std::chrono::microseconds;

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

int perf_produce(const global_options& g, const perf_options& o, const producer_options& producer) {
  const auto topic = parse_topic(o.topic);
  runtime r;
  pipelines description;
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
  perf_meter m{o};
  perf_load l{o, *started, std::move(keys), m};
  std::thread loading{[&] { l.run(); }};
  m.wait();
  loading.join();
  const auto status = m.report();
  static_cast<void>(started->stop());
  return status;
}

template <class Options>
int perf_receive(const global_options& g, const perf_options& o, const Options& pattern,
                 std::vector<Options> pipelines::*list) {
  const auto topic = parse_topic(o.topic);
  runtime r;
  perf_meter m{o};
  pipelines description;
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
  add_duration(sub, "--test-duration", o->duration, "End after this time; 0 goes on", std::chrono::milliseconds{0});
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
  produce->add_flag("--own-payloads", o->own_payloads, "Each message has a payload of its own; else all share one");
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
    run = [oc, consumer, &g] { return perf_receive(g, *oc, *consumer, &pipelines::consumers); };
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
    run = [orr, reader, &g] { return perf_receive(g, *orr, *reader, &pipelines::readers); };
  });
}

} // namespace stargate::cli
