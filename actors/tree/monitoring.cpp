#include "actors/tree/monitoring.hpp"

#include "actors/shared/apart.hpp"
#include "actors/shared/outcome.hpp"
#include "actors/tree/inspection.hpp"
#include "libstargate/protocol/json.hpp"
#include "web/exposition.hpp"
#include "web/page.hpp"

#include <stargate/version.hpp>

#include <openssl/crypto.h>

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <numeric>
#include <string_view>
#include <utility>
#include <vector>

namespace stargate::internal {

namespace {

using namespace std::chrono_literals;
using web::exposition, web::labels, web::request, web::response;

constexpr auto look_timeout = 2s;
constexpr auto fresh_enough = 300ms;
constexpr auto sample_interval = 1s;
constexpr std::size_t samples_kept = 300;
constexpr const char* json_type = "application/json";

void append_member(std::string& to, std::string_view name, std::string_view text) {
  if (to.back() != '{')
    to += ',';
  to.append("\"").append(name).append("\":");
  if (!protocol::json::append_string(to, text))
    to += "\"\"";
}

void append_number(std::string& to, std::string_view name, double value) {
  std::array<char, 32> digits{};
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), value).ptr;
  to.append(to.back() == '{' ? "\"" : ",\"").append(name).append("\":").append(digits.data(), end);
}

std::int64_t milliseconds_of(std::chrono::system_clock::time_point at) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(at.time_since_epoch()).count();
}

std::string json_of(const log_tail::line& l) {
  std::string out = "{";
  append_number(out, "at", static_cast<double>(milliseconds_of(l.at)));
  append_member(out, "level", name_of(l.level));
  append_member(out, "source", l.source);
  append_member(out, "text", l.text);
  return out + "}";
}

std::string news(std::string_view kind, const std::string& json) {
  return "event: " + std::string{kind} + "\ndata: " + json + "\n\n";
}

std::string happened(std::chrono::system_clock::time_point at, const std::string& text, bool is_bad) {
  std::string out = "{";
  append_number(out, "at", static_cast<double>(milliseconds_of(at)));
  append_member(out, "text", text);
  out += is_bad ? ",\"bad\":true}" : ",\"bad\":false}";
  return news("happened", out);
}

bool is_bad(event::kind what) {
  switch (what) {
    case event::kind::connected:
    case event::kind::added:
    case event::kind::removed:
    case event::kind::drained: return false;
    default: return true;
  }
}

bool is_this_machine(const std::string& address) {
  return address == "localhost" || address == "::1" || address.starts_with("127.");
}

/// Without its port.
std::string_view name_in(std::string_view host) {
  if (host.starts_with('['))
    return host.substr(1, host.find(']') - 1);
  return host.substr(0, host.rfind(':'));
}

bool is_same(std::string_view a, std::string_view b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

/// Below which bound this share of the newly added is, in milliseconds; 0 where nothing was added.
template <class Counts>
double quantile(const Counts& now, const Counts& before, double share) {
  std::uint64_t all = 0;
  for (std::size_t i = 0; i < now.size(); ++i)
    all += now[i] - before[i];
  if (all == 0)
    return 0;
  const auto wanted = share * static_cast<double>(all);
  double so_far = 0, low = 0;
  for (std::size_t i = 0; i < now.size(); ++i) {
    const auto here = static_cast<double>(now[i] - before[i]);
    const auto high =
      std::chrono::duration<double, std::milli>{time_histogram::bounds[std::min(i, time_histogram::bounds.size() - 1)]}
        .count();
    if (so_far + here >= wanted && here > 0)
      return low + (high - low) * (wanted - so_far) / here;
    so_far += here;
    low = high;
  }
  return low;
}

/// The labels by which a pipeline is known, from the key of its socket.
labels labels_of(const std::string& tree, const registry_key& socket) {
  const auto slash = socket.component.find('/');
  labels result{{"tree", tree}, {"kind", socket.component.substr(0, slash)}, {"topic", to_string(socket.topic)}};
  if (slash != std::string::npos)
    result.emplace_back(socket.component.starts_with("consumer") ? "subscription" : "reader",
                        socket.component.substr(slash + 1));
  return result;
}

std::vector<double> seconds_of_bounds() {
  std::vector<double> result;
  for (const auto b : time_histogram::bounds)
    result.push_back(std::chrono::duration<double>{b}.count());
  return result;
}

std::vector<std::uint64_t> buckets_of(const time_histogram& h) {
  std::vector<std::uint64_t> result(time_histogram::bounds.size() + 1);
  for (std::size_t i = 0; i < result.size(); ++i)
    result[i] = h.in_bucket(i);
  return result;
}

/// What a page shows of one pipeline, and what Prometheus gets: the same counters.
struct counter_row {
  std::string_view name, metric, help;
  const counter pipeline_metrics::*which;
  bool of_producers, of_receivers;
};
constexpr counter_row counter_rows[] = {
  {"connects", "stargate_connects_total", "Connections that stood.", &pipeline_metrics::connects, true, true},
  {"produced", "stargate_produced_messages_total", "Messages that were handed over to be produced.",
   &pipeline_metrics::produced, true, false},
  {"stored", "stargate_stored_messages_total", "Messages of which the broker sent a receipt.",
   &pipeline_metrics::stored, true, false},
  {"failed", "stargate_failed_messages_total", "Messages that were answered with an error, and are not stored.",
   &pipeline_metrics::failed, true, false},
  {"unknown", "stargate_unknown_messages_total", "Messages of which nobody knows whether they are stored.",
   &pipeline_metrics::unknown, true, false},
  {"delivered", "stargate_delivered_messages_total", "Messages that came from the broker.",
   &pipeline_metrics::delivered, false, true},
  {"redelivered", "stargate_redelivered_messages_total", "Of these, such as had been delivered before.",
   &pipeline_metrics::redelivered, false, true},
  {"acknowledged", "stargate_acknowledged_messages_total", "Messages that were acknowledged.",
   &pipeline_metrics::acknowledged, false, true},
  {"negatively acknowledged", "stargate_negatively_acknowledged_messages_total",
   "Messages that were given back to the broker.", &pipeline_metrics::negative_acknowledged, false, true},
  {"dead-lettered", "stargate_dead_lettered_messages_total", "Messages that were put on the dead-letter topic.",
   &pipeline_metrics::dead_lettered, false, true},
  {"handler failures", "stargate_handler_failures_total", "How often a handler failed.",
   &pipeline_metrics::handler_failures, false, true},
};

void append_process(exposition& out) {
  rusage used{};
  getrusage(RUSAGE_SELF, &used);
  out.family("process_cpu_seconds_total", exposition::type::counter, "Processor time of the process.");
  out.sample({}, static_cast<double>(used.ru_utime.tv_sec + used.ru_stime.tv_sec)
                   + static_cast<double>(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6);
  std::uint64_t pages = 0, resident = 0;
  if (std::ifstream statm{"/proc/self/statm"}; statm >> pages >> resident) {
    out.family("process_resident_memory_bytes", exposition::type::gauge, "Memory of the process.");
    out.sample({}, resident * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE)));
  }
}

} // namespace

monitor_answers::monitor_answers(std::shared_ptr<tree_context> tree, caf::actor top)
  : tree_{std::move(tree)},
    top_{std::move(top)},
    last_{add_up()},
    last_at_{std::chrono::steady_clock::now()} {}

response monitor_answers::to(const request& r) {
  const auto& o = tree_->description.monitor;
  // A page of somebody else's, whose name was made to point here, asks by that name.
  if (o.token.empty() && !is_this_machine(std::string{name_in(r.host)}) && name_in(r.host) != o.address)
    return {403, "text/plain; charset=utf-8",
            "ask by the address on which the monitor listens, or set monitor.token\n"};
  const bool is_known = o.token.empty() || is_same(r.token, o.token);
  if (r.method == "POST")
    return is_known ? change(r) : response{401, "text/plain; charset=utf-8", "the monitor's token is wanted\n"};
  if (r.path == "/")
    return {200, "text/html; charset=utf-8", std::string{web::page}};
  if (r.path == "/healthz")
    return health();
  if (r.path == "/readyz")
    return readiness(is_known);
  if (!is_known)
    return {401, "text/plain; charset=utf-8", "the monitor's token is wanted: Authorization: Bearer TOKEN\n"};
  if (r.path == "/metrics")
    return metrics();
  if (r.path == "/tree.json")
    return {200, json_type, to_json(snapshot())};
  if (r.path == "/stats.json")
    return {200, json_type, stats()};
  if (r.path == "/events")
    return {200, "text/event-stream", ": what happens\n\n", true};
  if (constexpr std::string_view of_one = "/pipelines/"; r.path.starts_with(of_one))
    return {200, json_type, pipelines(r.path.substr(of_one.size()))};
  return {404, "text/plain; charset=utf-8", "there are /, /metrics, /healthz, /readyz and /tree.json\n"};
}

const tree_snapshot& monitor_answers::snapshot() {
  if (const auto now = std::chrono::steady_clock::now(); now - seen_at_ > fresh_enough) {
    seen_ = look_at(*tree_, top_, look_timeout);
    seen_at_ = std::chrono::steady_clock::now();
  }
  return seen_;
}

response monitor_answers::health() {
  if (auto why = tree_->board.why_ended())
    return {503, "text/plain; charset=utf-8", describe(why) + "\n"};
  const auto answer = ask_and_wait<vitals>(tree_->system, *tree_->world, top_, look_timeout, report_vitals{});
  if (!answer)
    return {503, "text/plain; charset=utf-8", "the top supervisor does not answer: " + describe(answer.error()) + "\n"};
  return {200, "text/plain; charset=utf-8", "ok\n"};
}

response monitor_answers::readiness(bool in_detail) {
  const auto why = tree_->board.wait_connected(*tree_->world, tree_->now());
  if (!why)
    return {200, "text/plain; charset=utf-8", "ok\n"};
  return {503, "text/plain; charset=utf-8",
          in_detail ? describe(why) + "\n" : "not every socket is connected; with the token, more is told\n"};
}

response monitor_answers::change(const request& r) {
  const auto what = std::string_view{r.path}.substr(std::min<std::size_t>(r.path.size(), 1));
  using call = caf::error (stargate::tree::*)(const registry_key&) const;
  const std::map<std::string_view, call> calls{
    {"restart", &stargate::tree::restart}, {"drain", &stargate::tree::drain}, {"remove", &stargate::tree::remove}};
  const auto found = calls.find(what);
  if (found == calls.end())
    return {404, "text/plain; charset=utf-8", "there are /restart, /drain and /remove\n"};
  if (!tree_->description.monitor.control)
    return {403, "text/plain; charset=utf-8", "this monitor only shows; the option monitor.control lets it change\n"};
  if (r.intent != what)
    return {403, "text/plain; charset=utf-8", "the header X-Stargate-Intent has to say the same as the path\n"};
  const auto key = parse_registry_key(r.body);
  if (!key)
    return {400, "text/plain; charset=utf-8", describe(key.error()) + "\n"};
  run_apart(tree_, [tree = tree_, key = *key, call = found->second, verb = std::string{what}] {
    const auto handle = tree->weak().lock();
    const auto wrong = handle ? (handle.*call)(key) : make_error(errc::stopping, "the tree is stopping");
    const auto asked = "asked by the monitor to " + verb + " " + to_string(key);
    tree->say(wrong ? log_level::error : log_level::info, tree->description.name,
              asked + (wrong ? ": " + describe(wrong) : ": done"));
  });
  return {202, "text/plain; charset=utf-8", std::string{what} + " of " + r.body + "\n"};
}

monitor_answers::totals monitor_answers::add_up() const {
  totals sum;
  for (const auto& [key, m] : tree_->metrics.all()) {
    const auto answered = m->stored.value() + m->failed.value() + m->unknown.value();
    const auto produced = m->produced.value();
    sum.stored += m->stored.value();
    sum.failed += m->failed.value() + m->unknown.value() + m->handler_failures.value();
    sum.delivered += m->delivered.value();
    sum.awaited += produced - std::min(produced, answered);
    for (std::size_t i = 0; i < sum.receipts.size(); ++i) {
      sum.receipts[i] += m->receipts.in_bucket(i);
      sum.handlers[i] += m->handlers.in_bucket(i);
    }
  }
  return sum;
}

std::string monitor_answers::take_sample() {
  auto now = add_up();
  const auto at = std::chrono::steady_clock::now();
  const auto passed = std::max(std::chrono::duration<double>(at - last_at_).count(), 1e-3);
  // A pipeline that was removed takes its counts along.
  const auto rate = [&](std::uint64_t a, std::uint64_t b) { return static_cast<double>(a - std::min(a, b)) / passed; };
  for (std::size_t i = 0; i < now.receipts.size(); ++i) {
    last_.receipts[i] = std::min(last_.receipts[i], now.receipts[i]);
    last_.handlers[i] = std::min(last_.handlers[i], now.handlers[i]);
  }
  std::size_t connected = 0, wanted = 0;
  for (const auto& [key, record] : tree_->board.all()) {
    connected += record.phase == socket_phase::connected && !record.drained ? 1 : 0;
    wanted += record.drained ? 0 : 1;
  }
  std::string out = "{";
  append_number(out, "at", static_cast<double>(milliseconds_of(std::chrono::system_clock::now())));
  append_number(out, "stored", rate(now.stored, last_.stored));
  append_number(out, "delivered", rate(now.delivered, last_.delivered));
  append_number(out, "failures", rate(now.failed, last_.failed));
  append_number(out, "awaited", static_cast<double>(now.awaited));
  append_number(out, "receiptP50", quantile(now.receipts, last_.receipts, 0.5));
  append_number(out, "receiptP99", quantile(now.receipts, last_.receipts, 0.99));
  append_number(out, "handlerP50", quantile(now.handlers, last_.handlers, 0.5));
  append_number(out, "handlerP99", quantile(now.handlers, last_.handlers, 0.99));
  append_number(out, "connected", static_cast<double>(connected));
  append_number(out, "sockets", static_cast<double>(wanted));
  append_number(out, "restarts", static_cast<double>(tree_->metrics.restarts.value()));
  append_number(out, "giveUps", static_cast<double>(tree_->metrics.give_ups.value()));
  out += "}";
  last_ = now;
  last_at_ = at;
  const std::lock_guard guard{mutex_};
  if (samples_.size() == samples_kept)
    samples_.pop_front();
  samples_.push_back(out);
  return out;
}

std::string monitor_answers::stats() {
  std::string out = "{";
  append_member(out, "name", tree_->description.name);
  append_member(out, "version", STARGATE_VERSION);
  out += std::string{",\"control\":"} + (tree_->description.monitor.control ? "true" : "false") + ",\"samples\":[";
  {
    const std::lock_guard guard{mutex_};
    for (bool first = true; const auto& s : samples_)
      out.append(std::exchange(first, false) ? "" : ",").append(s);
  }
  out += "],\"log\":[";
  if (tree_->last_lines)
    for (bool first = true; const auto& l : tree_->last_lines->lines())
      out.append(std::exchange(first, false) ? "" : ",").append(json_of(l));
  return out + "]}";
}

std::string monitor_answers::pipelines(const std::string& key) {
  const auto asked = parse_registry_key(key);
  std::string out = "[";
  if (!asked)
    return out + "]";
  const auto all = tree_->metrics.all();
  for (const auto& keys : tree_->plan.keys()) {
    const auto found = all.find(keys.socket());
    if (keys.topic() != asked->topic || found == all.end())
      continue;
    const auto first_processor = keys.processor_component(0);
    const bool is_mine =
      key == keys.socket() || key == keys.supervisor() || key == keys.acknowledger()
      || (keys.role() != role::producer
          && (key == keys.dispatcher()
              || asked->component.starts_with(first_processor.substr(0, first_processor.size() - 1))));
    out += out.size() > 1 ? ",{" : "{";
    append_member(out, "key", keys.socket());
    append_member(out, "component", parse_registry_key(keys.socket())->component);
    out += is_mine ? ",\"mine\":true,\"counts\":{" : ",\"mine\":false,\"counts\":{";
    for (const auto& row : counter_rows)
      if (keys.role() == role::producer ? row.of_producers : row.of_receivers)
        append_number(out, row.name, static_cast<double>(((*found->second).*row.which).value()));
    for (const auto& [why, count] : found->second->disconnects.values())
      append_number(out, "disconnects: " + std::string{name_of(why)}, static_cast<double>(count));
    out += "}}";
  }
  return out + "]";
}

response monitor_answers::metrics() {
  exposition out;
  const labels here{{"tree", tree_->description.name}};
  out.family("stargate_build_info", exposition::type::gauge, "Which Stargate this is; always 1.");
  out.sample({{"version", STARGATE_VERSION}, {"caf", std::to_string(CAF_VERSION)}}, std::uint64_t{1});
  out.family("stargate_restarts_total", exposition::type::counter, "Actors that were started again.");
  out.sample(here, tree_->metrics.restarts.value());
  out.family("stargate_give_ups_total", exposition::type::counter, "Supervisors that gave up.");
  out.sample(here, tree_->metrics.give_ups.value());

  struct pipeline {
    labels names;
    std::shared_ptr<const pipeline_metrics> counts;
    bool is_producer, is_connected, is_drained;
  };
  std::vector<pipeline> pipelines;
  const auto sockets = tree_->board.all();
  for (const auto& [key, counts] : tree_->metrics.all()) {
    const auto parsed = parse_registry_key(key);
    const auto socket = sockets.find(key);
    if (parsed && socket != sockets.end())
      pipelines.push_back({labels_of(tree_->description.name, *parsed), counts,
                           parsed->component == row_of(role::producer).socket,
                           socket->second.phase == socket_phase::connected, socket->second.drained});
  }
  out.family("stargate_connected", exposition::type::gauge, "Whether the socket is connected, of one that is to be.");
  for (const auto& p : pipelines)
    if (!p.is_drained)
      out.sample(p.names, std::uint64_t{p.is_connected});
  for (const auto& row : counter_rows) {
    out.family(row.metric, exposition::type::counter, row.help);
    for (const auto& p : pipelines)
      if (p.is_producer ? row.of_producers : row.of_receivers)
        out.sample(p.names, ((*p.counts).*row.which).value());
  }
  out.family("stargate_disconnects_total", exposition::type::counter,
             "Connections that were lost, and attempts that failed, by the error's name.");
  for (const auto& p : pipelines)
    for (const auto& [why, count] : p.counts->disconnects.values()) {
      auto names = p.names;
      names.emplace_back("reason", name_of(why));
      out.sample(names, count);
    }
  const auto bounds = seconds_of_bounds();
  out.family("stargate_receipt_seconds", exposition::type::histogram,
             "From when a message was handed over until the broker's receipt.");
  for (const auto& p : pipelines)
    if (p.is_producer)
      out.histogram(p.names, bounds, buckets_of(p.counts->receipts), p.counts->receipts.seconds());
  out.family("stargate_handler_seconds", exposition::type::histogram, "How long handlers took.");
  for (const auto& p : pipelines)
    if (!p.is_producer)
      out.histogram(p.names, bounds, buckets_of(p.counts->handlers), p.counts->handlers.seconds());

  std::vector<std::pair<labels, vitals>> actors;
  for (const auto& e : snapshot().entries)
    if (const auto key = parse_registry_key(e.key); key && e.how)
      actors.emplace_back(
        labels{{"tree", tree_->description.name}, {"component", key->component}, {"topic", to_string(key->topic)}},
        *e.how);
  constexpr std::tuple<const char*, const char*, std::size_t vitals::*> gauges[] = {
    {"stargate_mailbox_messages", "Messages that wait in an actor's mailbox.", &vitals::mailbox},
    {"stargate_in_flight_messages", "What an actor has taken and not finished.", &vitals::in_flight},
    {"stargate_demand_messages", "Messages that an actor asked for, or was asked for, and that have not come.",
     &vitals::demand}};
  for (const auto& [name, help, which] : gauges) {
    out.family(name, exposition::type::gauge, help);
    for (const auto& [names, how] : actors)
      out.sample(names, static_cast<std::uint64_t>(how.*which));
  }
  append_process(out);
  return {200, "text/plain; version=0.0.4; charset=utf-8", out.text()};
}

// -- serving ----------------------------------------------------------------------

monitoring::monitoring(const std::shared_ptr<tree_context>& tree, const caf::actor& top)
  : tree_{tree},
    answers_{tree, top},
    // libwebsockets takes addresses, and names of interfaces.
    server_{tree->description.monitor.address == "localhost" ? "127.0.0.1" : tree->description.monitor.address,
            tree->description.monitor.port.value_or(0), [this](const request& r) { return answers_.to(r); }} {
  const auto& o = tree_->description.monitor;
  tree_->say(log_level::info, tree_->description.name,
             "the monitor is at http://"
               + (o.address.find(':') == std::string::npos ? o.address : "[" + o.address + "]") + ":"
               + std::to_string(server_.port()) + "/");
  tree_->monitor_port = server_.port();
  outlet_->server = &server_;
  if (const auto handle = tree_->weak().lock())
    events_ = handle.subscribe([to = outlet_](const event& e) {
      const std::lock_guard guard{to->mutex};
      if (to->server != nullptr)
        to->server->broadcast(happened(e.at, to_string(e), is_bad(e.what)));
    });
  tree_->last_lines->watch([this](const log_tail::line& l) { server_.broadcast(news("log", json_of(l))); });
  sampling_ = std::thread{[this] { watch(); }};
}

void monitoring::watch() {
  std::unique_lock lock{mutex_};
  while (!changed_.wait_for(lock, sample_interval, [this] { return ending_; }))
    server_.broadcast(news("sample", answers_.take_sample()));
}

monitoring::~monitoring() {
  {
    const std::lock_guard guard{mutex_};
    ending_ = true;
  }
  changed_.notify_all();
  sampling_.join();
  tree_->last_lines->watch({});
  events_.end();
  const std::lock_guard guard{outlet_->mutex};
  outlet_->server = nullptr;
}

} // namespace stargate::internal
