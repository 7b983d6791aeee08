#include "simulation/scenario.hpp"

#include "simulation/randomness.hpp"

#include <openssl/evp.h>
#include <openssl/pem.h>

#include <algorithm>
#include <chrono>
#include <memory>

namespace stargate::simulation {

namespace {

using namespace std::chrono_literals;

constexpr std::string_view forward_topic = "out";
constexpr auto pattern = "persistent://public/default/t[01]"; // none of dead letters

bool changes_the_plan(deed_kind k) {
  return k == deed_kind::add || k == deed_kind::remove || k == deed_kind::start_child || k == deed_kind::terminate_child
         || k == deed_kind::restart || k == deed_kind::drain;
}

/// Draws values for options and notes what was drawn.
class drawing {
public:
  explicit drawing(randomness& r) : random{r} {}

  randomness& random;
  std::vector<std::string> notes;

  bool chance(const std::string& name, double probability) {
    const bool yes = random.chance(probability);
    notes.push_back(name + (yes ? "=yes" : "=no"));
    return yes;
  }
  template <class T>
  T one_of(const std::string& name, std::vector<std::pair<const char*, T>> values) {
    auto& chosen = random.pick(values);
    notes.push_back(name + "=" + chosen.first);
    return chosen.second;
  }
};

std::chrono::milliseconds ms(std::int64_t n) {
  return std::chrono::milliseconds{n};
}

/// A key pair of this process: what is encrypted with it stands in no trace.
key_source owner_key(bool is_private) {
  static const std::pair<std::string, std::string> pem = [] {
    const std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> key{EVP_RSA_gen(1024), EVP_PKEY_free};
    const auto text = [&](auto write) {
      const std::unique_ptr<BIO, decltype(&BIO_free)> out{BIO_new(BIO_s_mem()), BIO_free};
      write(out.get());
      char* data = nullptr;
      const auto size = BIO_get_mem_data(out.get(), &data);
      return std::string{data, static_cast<std::size_t>(size)};
    };
    return std::pair{text([&](BIO* out) { PEM_write_bio_PUBKEY(out, key.get()); }), text([&](BIO* out) {
                       PEM_write_bio_PrivateKey(out, key.get(), nullptr, nullptr, 0, nullptr, nullptr);
                     })};
  }();
  return key_source::call([is_private] { return is_private ? pem.second : pem.first; });
}

pipeline_plan make_producer(randomness& random, const std::string& topic) {
  drawing d{random};
  pipeline_plan plan;
  plan.role = pipeline_plan::producer;
  auto& o = plan.p;
  o.topic = {.topic = topic};
  o.send_timeout =
    d.one_of<std::chrono::milliseconds>("send_timeout", {{"1 s", 1s}, {"5 s", 5s}, {"60 s", 60s}, {"60 s", 60s}});
  o.max_pending = d.one_of<std::size_t>("max_pending", {{"1", 1}, {"7", 7}, {"50", 50}, {"300", 300}});
  o.effectively_once = d.chance("effectively_once", 0.45);
  const bool encrypts = d.chance("encryption", 0.05);
  if (encrypts)
    o.encryption = {{"owner", owner_key(false)}};
  if (o.effectively_once) {
    o.topic.ns = "once";
    if (d.chance("producer_name", 0.3))
      o.producer_name = "billing";
  } else if (!encrypts && d.chance("batching", 0.35)) {
    o.batching = true;
    if (d.chance("batch_size", 0.5))
      o.batch_size = static_cast<std::uint32_t>(random.between(1, 20));
    if (d.chance("batch_delay", 0.5))
      o.batch_delay = ms(random.between(1, 100));
    if (d.chance("broker_max_pending", 0.3))
      o.broker_max_pending = static_cast<std::uint32_t>(o.max_pending + 5);
  }
  plan.drawn = std::move(d.notes);
  return plan;
}

template <class Options>
void draw_receiver(drawing& d, pipeline_plan& plan, Options& o) {
  auto& random = d.random;
  o.processors = d.one_of<std::size_t>("processors", {{"1", 1}, {"2", 2}, {"4", 4}});
  o.max_demand = d.one_of<std::size_t>("max_demand", {{"1", 1}, {"10", 10}, {"100", 100}});
  o.min_demand = random.below(o.max_demand);
  o.run_on = d.one_of<run_on>("run_on", {{"own_thread", run_on::own_thread}, {"scheduler", run_on::scheduler}});
  plan.to_actor = d.chance("deliver_to", 0.2);
  if (d.chance("receiver_queue_size", 0.7))
    o.receiver_queue_size = static_cast<std::uint32_t>(random.between(1, 200));
  o.partition_by_key = d.chance("partition_by_key", 0.25);
  if (d.chance("batch_size", 0.25)) {
    o.batch_size = static_cast<std::size_t>(random.between(1, static_cast<std::int64_t>(o.max_demand)));
    o.batch_delay = ms(random.between(1, 200));
    if (o.receiver_queue_size && *o.receiver_queue_size < o.batch_size)
      o.receiver_queue_size = static_cast<std::uint32_t>(o.batch_size);
  }
  if (d.chance("ack_group_time", 0.7))
    o.ack_group_time = ms(random.between(0, 500));
  if (d.chance("handler_timeout", 0.2))
    o.handler_timeout = ms(random.between(20, 500));
  if (d.chance("rate_limit", 0.1))
    o.rate_limit = static_cast<double>(random.between(50, 2000));
}

pipeline_plan make_consumer(randomness& random, std::vector<topic_name> topics, const std::string& subscription) {
  drawing d{random};
  pipeline_plan plan;
  plan.role = pipeline_plan::consumer;
  auto& o = plan.c;
  const bool near = std::all_of(topics.begin(), topics.end(), [](const auto& t) { return t.ns == "default"; });
  if (topics.size() == 1)
    o.topic = topics.front();
  else if (near && random.chance(0.75))
    o.topics_pattern = pattern;
  else
    o.topics = topics;
  d.notes.push_back(topics.size() == 1 ? "topics=one" : o.topics.empty() ? "topics=pattern" : "topics=several");
  o.subscription = subscription;
  draw_receiver(d, plan, o);
  o.type = d.one_of<subscription_type>("type", {{"exclusive", subscription_type::exclusive},
                                                {"failover", subscription_type::failover},
                                                {"shared", subscription_type::shared},
                                                {"key_shared", subscription_type::key_shared}});
  if (d.chance("non_durable", 0.08))
    o.mode = subscription_mode::non_durable;
  if (d.chance("earliest", 0.85))
    o.position = initial_position::earliest;
  o.pull_mode = d.chance("pull_mode", 0.35);
  o.negative_ack_redelivery_delay = ms(random.between(100, 2000));
  if (d.chance("ack_timeout", 0.15))
    o.ack_timeout = ms(random.between(1000, 5000));
  o.on_failure = d.one_of<failure_action>(
    "on_failure",
    {{"crash", failure_action::crash}, {"nack", failure_action::nack}, {"dead_letter", failure_action::dead_letter}});
  if (o.type == subscription_type::shared || o.type == subscription_type::key_shared)
    if (d.chance("max_redeliver_count", 0.25))
      o.max_redeliver_count = static_cast<std::uint32_t>(random.between(1, 5));
  if ((o.on_failure == failure_action::dead_letter || o.max_redeliver_count) && topics.size() > 1)
    o.dead_letter_topic = "dead-letters";
  plan.drawn = std::move(d.notes);
  return plan;
}

pipeline_plan make_reader(randomness& random, const topic_name& topic, const std::string& name) {
  drawing d{random};
  pipeline_plan plan;
  plan.role = pipeline_plan::reader;
  auto& o = plan.r;
  o.topic = topic;
  draw_receiver(d, plan, o);
  if (d.chance("earliest", 0.85))
    o.start = start_at::earliest();
  if (!name.empty())
    o.reader_name = name;
  if (d.chance("dead_letter", 0.3)) {
    o.on_failure = failure_action::dead_letter;
    o.dead_letter_topic = "dead-letters";
  }
  plan.drawn = std::move(d.notes);
  return plan;
}

} // namespace

std::string pipeline_plan::name() const {
  switch (role) {
    case producer: return "producer of " + to_string(p.topic);
    case consumer:
      return "consumer " + c.subscription + " of " + (topics().size() == 1 ? topics().front() : "several topics");
    default: return "reader " + r.reader_name.value_or("") + " of " + to_string(r.topic);
  }
}

std::vector<std::string> pipeline_plan::topics() const {
  if (!c.topics_pattern.empty())
    return {c.topics_pattern};
  std::vector<std::string> names;
  for (const auto& t : c.topics.empty() ? std::vector{c.topic} : c.topics)
    names.push_back(to_string(t));
  return names;
}

std::string to_string(const fault& f) {
  std::string text{fault_names[static_cast<std::size_t>(f.kind)]};
  if (f.kind >= fault_kind::kill)
    text += " " + std::string{victim_names[static_cast<std::size_t>(f.whom)]};
  if (f.lasts > 0)
    text += " for " + std::to_string(f.lasts / 1000) + " ms";
  return text;
}

std::string to_string(const deed& d) {
  return std::string{deed_names[static_cast<std::size_t>(d.kind)]} + " " + std::to_string(d.count);
}

scenario make_scenario(std::uint64_t seed, std::size_t messages) {
  randomness random{seed, 1};
  scenario s;
  s.seed = seed;
  s.ends = random.between(1_s, 15_s);
  s.slowest = random.between(1_ms, 30_ms);
  s.lateness = random.chance(0.5) ? 0.02 : 0;
  s.yields = random.chance(0.8) ? 0.02 : 0.2;

  auto& o = s.tree;
  o.name = "sim";
  o.hosts = random.chance(0.3) ? std::vector<host>{{"a", 8080}, {"b", 8080}} : std::vector<host>{{"a", 8080}};
  const bool gives_up = random.chance(0.12);
  o.intensity = gives_up ? 3 : 1'000'000;
  o.period = gives_up ? 5s : 1s;
  o.shutdown = random.chance(0.3) ? 200ms : 5000ms;
  o.connect_timeout = random.chance(0.5) ? 10'000ms : 1000ms;
  o.ping_interval = std::chrono::seconds{random.between(1, 10)};
  o.pong_timeout = std::chrono::seconds{random.between(1, 5)};
  o.idle_check = ms(random.between(500, 5000));
  o.backoff = {.first = ms(random.between(1, 100)),
               .most = ms(random.between(100, 5000)),
               .stable = ms(random.between(100, 10'000))};

  const auto topics = static_cast<std::size_t>(random.between(1, 2));
  std::vector<topic_name> names;
  for (std::size_t t = 0; t < topics; ++t) {
    auto p = make_producer(random, "t" + std::to_string(t));
    names.push_back(p.p.topic);
    const bool encrypts = !p.p.encryption.empty(); // then a reader cannot read it
    s.pipelines.push_back(std::move(p));
    for (std::int64_t c = random.between(0, 2); c > 0; --c)
      s.pipelines.push_back(make_consumer(random, {names.back()}, "s" + std::to_string(c)));
    for (std::int64_t r = encrypts ? 0 : random.between(0, 3) - 1; r > 0; --r)
      s.pipelines.push_back(make_reader(random, names.back(), r == 1 ? "" : "r" + std::to_string(r)));
  }
  if (topics > 1 && random.chance(0.35))
    s.pipelines.push_back(make_consumer(random, names, "several"));
  const bool dynamic = random.chance(0.35);
  if (dynamic) {
    s.pipelines.push_back(make_producer(random, "d0"));
    s.pipelines.back().from_the_start = false;
    const auto topic = s.pipelines.back().p.topic;
    s.pipelines.push_back(make_consumer(random, {topic}, "ds"));
    s.pipelines.back().from_the_start = false;
  }

  // What came later has a stream of its own, so that what seeds mean stays as far as it can.
  randomness later{seed, 9};
  if (later.chance(0.25)) {
    for (auto& p : s.pipelines)
      p.forwards = p.role == pipeline_plan::consumer && !p.to_actor && later.chance(0.7);
    if (std::any_of(s.pipelines.begin(), s.pipelines.end(), [](const auto& p) { return p.forwards; })) {
      s.pipelines.push_back(make_producer(later, std::string{forward_topic}));
      if (later.chance(0.5))
        s.pipelines.push_back(make_consumer(later, {s.pipelines.back().p.topic}, "os"));
    }
  }
  for (auto& p : s.pipelines)
    if (p.role == pipeline_plan::consumer)
      p.drawn.push_back(p.forwards ? "produce_and_ack=yes" : "produce_and_ack=no");
  s.listener = later.chance(0.3) ? static_cast<std::size_t>(later.between(1, 50)) : 0;
  s.embedded = later.chance(0.1) ? static_cast<std::size_t>(later.between(1, 8)) : 0;

  if (std::any_of(s.pipelines.begin(), s.pipelines.end(), [](const auto& p) { return !p.p.encryption.empty(); }))
    for (auto& p : s.pipelines)
      p.c.decryption_keys = {{"owner", owner_key(true)}};

  const bool peaceful = random.chance(0.08); // nothing goes wrong, and the tree is stopped under load
  const bool careless = !peaceful && random.chance(0.5);
  auto& h = s.handlers;
  h.throws = careless && random.chance(0.6) ? 0.01 : 0;
  h.refuses = careless ? 0.02 : 0;
  h.keeps = !peaceful && random.chance(0.5) ? 0.1 : 0;
  h.keeps_and_settles_first = random.chance(0.4) ? 0.05 : 0;
  h.slow = !peaceful && random.chance(0.4) ? 0.01 : 0;
  h.slowness = random.between(1_ms, 700_ms);
  h.hangs = !peaceful && random.chance(0.5) ? 0.01 : 0;

  // -- what its users do

  const auto at_random = [&] { return random.between(0, s.ends); };
  for (std::size_t published = 0; published < messages;) {
    deed d{at_random(), deed_kind::publish, random.next(), static_cast<std::size_t>(random.between(1, 20))};
    const auto way = random.below(24);
    d.kind = way < 12   ? deed_kind::publish
             : way < 15 ? deed_kind::publish_list
             : way < 16 ? deed_kind::publish_to_actor
             : way < 18 ? deed_kind::publish_and_wait
             : way < 20 ? deed_kind::publish_list_and_wait
             : way < 22 ? deed_kind::publish_by_request
             : way < 23 ? deed_kind::publish_list_by_request
                        : deed_kind::publish_by_demand;
    published += d.kind == deed_kind::publish_and_wait ? 1 : d.count;
    s.deeds.push_back(d);
  }
  if (h.keeps > 0)
    for (micros at = 0; at < s.ends; at += random.between(10_ms, 500_ms))
      s.deeds.push_back({at, deed_kind::settle_kept, random.next(), 1 + random.below(20)});
  const auto sometimes = [&](double chance, deed_kind kind, std::int64_t most) {
    if (random.chance(chance))
      for (std::int64_t n = random.between(1, most); n > 0; --n)
        s.deeds.push_back({at_random(), kind, random.next(), 1});
  };
  if (dynamic) {
    sometimes(1, deed_kind::add, 4);
    sometimes(0.7, deed_kind::remove, 3);
  }
  sometimes(0.15, deed_kind::start_child, 3);
  sometimes(0.1, deed_kind::terminate_child, 3);
  sometimes(0.1, deed_kind::restart, 2);
  sometimes(0.05, deed_kind::unsubscribe, 1);
  sometimes(0.15, deed_kind::ask_end_of_topic, 2);
  sometimes(0.15, deed_kind::wait_ready, 2);
  sometimes(0.15, deed_kind::inspect, 2);
  sometimes(peaceful ? 1 : 0.12, deed_kind::stop_and_start, 2);
  sometimes(0.04, deed_kind::drop_handle, 1);
  // By a stream of its own, so that worlds in which something was found before are what they were.
  if (randomness apart{seed, 11}; apart.chance(0.15))
    for (auto n = apart.between(1, 2); n > 0; --n)
      s.deeds.push_back({apart.between(0, s.ends), deed_kind::drain, apart.next(), 1});
  // And a world in which who brings what runs to the plan dies while it is at it, at times together with one that is being
  // started or stopped, which takes its time: what hangs keeps its name, and its successor waits for that.
  randomness changing{seed, 12};
  const bool is_changed = !peaceful && changing.chance(0.15);
  if (is_changed) {
    for (auto n = changing.between(1, 4); n > 0; --n)
      s.deeds.push_back({changing.between(0, s.ends), deed_kind::restart, changing.next(), 1});
    s.tree.shutdown = 200ms;
    s.handlers.slow = 0.05;
    s.handlers.slowness = 5_s;
  }
  std::stable_sort(s.deeds.begin(), s.deeds.end(), [](const deed& a, const deed& b) { return a.at < b.at; });

  // -- what goes wrong

  const auto count = peaceful || random.chance(0.1) ? 0
                     : random.chance(0.5)           ? random.between(1, 6)
                                                    : random.between(1, 40);
  std::vector<fault_kind> kinds; // few kinds at a time in most worlds, so that they get far
  for (std::int64_t n = random.between(1, 5); n > 0; --n)
    kinds.push_back(random.chance(0.4) ? random.pick(
                      std::array{fault_kind::kill, fault_kind::kill, fault_kind::ask_to_end, fault_kind::throwing})
                                       : static_cast<fault_kind>(random.below(fault_names.size())));
  for (std::int64_t n = 0; n < count; ++n) {
    fault f{at_random(), random.pick(kinds), static_cast<victim>(random.below(drawn_victims)), random.next(), 0};
    if (random.chance(0.15))
      f.at = random.chance(0.4) ? 0 : random.between(0, 30_ms); // while it starts, and connects
    if (random.chance(0.005))
      f.whom = victim::top;
    if (f.kind == fault_kind::stall || f.kind == fault_kind::crash || f.kind == fault_kind::host_down
        || f.kind == fault_kind::refuse_handshakes || f.kind == fault_kind::silent_handshakes
        || f.kind == fault_kind::error_receipts || f.kind == fault_kind::nameless_errors)
      f.lasts = random.between(10_ms, 3_s);
    s.faults.push_back(f);
    while (random.chance(0.25)) { // two at once, or nearly
      f.whom = static_cast<victim>(random.below(drawn_victims));
      f.which = random.next();
      f.at += random.chance(0.5) ? 0 : random.between(1, 2_ms);
      if (random.chance(0.5))
        f.kind = random.pick(kinds);
      s.faults.push_back(f);
    }
  }
  for (const auto& d : s.deeds) // and while it stops, and starts anew
    if (!peaceful && (d.kind == deed_kind::stop_and_start || d.kind == deed_kind::drop_handle) && random.chance(0.6))
      for (std::int64_t n = random.between(1, 4); n > 0; --n)
        s.faults.push_back({d.at + random.between(0, random.chance(0.5) ? 2_ms : 200_ms),
                            random.pick(std::array{fault_kind::kill, fault_kind::kill, fault_kind::ask_to_end,
                                                   fault_kind::throwing, fault_kind::cut, fault_kind::half_open}),
                            static_cast<victim>(random.below(drawn_victims)), random.next(), 0});
  if (is_changed)
    for (const auto& d : s.deeds)
      for (auto n = changes_the_plan(d.kind) ? changing.between(0, 3) : 0; n > 0; --n) {
        const auto at = d.at + changing.between(0, changing.chance(0.3) ? 2_ms : 4_s);
        s.faults.push_back({at, fault_kind::kill, victim::reconciler, 0, 0});
        if (changing.chance(0.7))
          s.faults.push_back(
            {at + (changing.chance(0.5) ? 0 : changing.between(0, 2_ms)), fault_kind::kill,
             changing.pick(std::array{victim::dispatcher, victim::consumer_ack, victim::consumer,
                                      victim::reader_dispatcher, victim::reader_ack, victim::producer}),
             changing.next(), 0});
      }
  std::stable_sort(s.faults.begin(), s.faults.end(), [](const fault& a, const fault& b) { return a.at < b.at; });
  return s;
}

const producer_options* scenario::forwards_to() const {
  for (const auto& p : pipelines)
    if (p.role == pipeline_plan::producer && p.p.topic.topic == forward_topic)
      return &p.p;
  return nullptr;
}

scenario without(scenario s, const omissions& o) {
  const auto leave_out = [](auto& from, const std::vector<std::size_t>& places) {
    std::size_t at = 0;
    std::erase_if(from, [&](const auto&) { return std::find(places.begin(), places.end(), at++) != places.end(); });
  };
  leave_out(s.faults, o.faults);
  leave_out(s.deeds, o.deeds);
  leave_out(s.pipelines, o.pipelines);
  if (s.forwards_to() == nullptr)
    for (auto& p : s.pipelines)
      p.forwards = false;
  return s;
}

} // namespace stargate::simulation
