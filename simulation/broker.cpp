#include "simulation/broker.hpp"

#include "libstargate/protocol/base64.hpp"
#include "libstargate/protocol/json.hpp"
#include "libstargate/protocol/percent.hpp"

#include <stargate/error.hpp>
#include <stargate/key.hpp>

#include <algorithm>
#include <functional>
#include <regex>
#include <string_view>

namespace stargate::simulation {

namespace {

std::string base64(const std::string& text) {
  std::string out;
  protocol::append_base64(out, text);
  return out;
}

std::string from_base64(std::string_view text) {
  std::string out;
  return protocol::decode_base64(text, out) ? out : std::string{};
}

std::string text_of(const rapidjson::Value& object, const char* name) {
  const auto* found = protocol::json::find_string(object, name);
  return found ? std::string{protocol::json::view(*found)} : std::string{};
}

std::int64_t number_of(const rapidjson::Value& object, const char* name) {
  const auto found = object.FindMember(name);
  return found != object.MemberEnd() && found->value.IsInt64() ? found->value.GetInt64() : 0;
}

std::vector<std::string> split(const std::string& text, char by) {
  std::vector<std::string> parts;
  for (std::size_t at = 0; at <= text.size();) {
    const auto end = std::min(text.find(by, at), text.size());
    parts.push_back(protocol::percent_decode(text.substr(at, end - at)).value_or(""));
    at = end + 1;
  }
  return parts;
}

constexpr micros inactive = 3_s; // a broker takes 60 s or more

/// Of the application's own topics every message is remembered, for the judge.
bool deletes(const topic_model& t) {
  return t.name.find("DLQ") != std::string::npos || t.name.find("dead-letters") != std::string::npos;
}

} // namespace

std::string subscription_id(const std::vector<std::string>& topics, const std::string& subscription) {
  std::string id;
  for (const auto& t : topics)
    id += t + ",";
  return id + "|" + subscription;
}

broker::broker(network& net, randomness random, network::tracer trace)
  : net_{net},
    random_{random},
    trace_{std::move(trace)} {}

topic_model& broker::topic(const std::string& name) {
  auto& t = topics_[name];
  if (t.name.empty()) {
    t.name = name;
    for (auto& [id, s] : subscriptions_) // a broker looks once a minute
      if (!s.pattern.empty() && std::regex_match(name, std::regex{s.pattern}))
        join(s, t);
  }
  return t;
}

void broker::join(subscription_model& s, topic_model& t) {
  s.topics.push_back(&t);
  s.begins[t.name] = s.next[t.name] = s.from_the_beginning ? 0 : t.log.size();
}

micros broker::parameter(const client& c, const std::string& name, micros otherwise) const {
  const auto found = c.query.find(name);
  return found == c.query.end() ? otherwise : std::stoll(found->second);
}

// -- connections

void broker::on_open(wire& w) {
  const auto& path = w.to.path;
  const auto question = std::min(path.find('?'), path.size());
  client c;
  c.w = &w;
  for (std::size_t at = question + 1; at < path.size();) {
    const auto end = std::min(path.find('&', at), path.size());
    const auto equals = path.find('=', at);
    c.query[path.substr(at, equals - at)] =
      protocol::percent_decode(path.substr(equals + 1, end - equals - 1)).value_or("");
    at = end + 1;
  }
  const auto parts = split(path.substr(0, question), '/'); // "", ws, v2, producer, persistent, tenant, ns, topic, sub
  w.role = parts.at(3);
  if (parts.at(2) == "v3") {
    c.subscription = w.subscription = parts.at(4);
    const bool by_pattern = c.query.contains("topicsPattern");
    const auto list = c.query[by_pattern ? "topicsPattern" : "topics"];
    c.topics = by_pattern ? std::vector{list} : split(list, ',');
    w.topic = list;
  } else {
    c.topics = {parts.at(4) + "://" + parts.at(5) + "/" + parts.at(6) + "/" + parts.at(7)};
    w.topic = parts.at(7);
    if (parts.size() > 8)
      c.subscription = w.subscription = parts.at(8);
  }
  if (!up)
    return net_.refuse(w, 503);
  if (random_.chance(refusing))
    return net_.refuse(w, random_.pick(refusals));
  if (w.role == "producer")
    open_producer(c);
  else if (w.role == "consumer")
    open_consumer(c);
  else
    open_reader(c);
}

void broker::open_producer(client& c) {
  const auto given = c.query.find("producerName");
  c.numbered = c.query.contains("initialSequenceId");
  c.name = given != c.query.end() ? given->second : "made-up-" + std::to_string(++made_up_);
  c.number = parameter(c, "initialSequenceId", -1);
  c.batching = c.query["batchingEnabled"] == "true";
  c.batch_most = static_cast<std::size_t>(parameter(c, "batchingMaxMessages", 1000));
  c.batch_delay = parameter(c, "batchingMaxPublishDelay", 1) * 1000;
  c.pending_most = static_cast<std::size_t>(parameter(c, "maxPendingMessages", 0));
  for (const auto& [id, other] : clients_)
    if (other.w->role == "producer" && other.name == c.name && other.topics == c.topics)
      return net_.refuse(*c.w, 409);
  topic(c.topics.front());
  auto& w = *c.w;
  clients_.emplace(w.id, std::move(c));
  note_use();
  net_.accept(w);
}

void broker::open_consumer(client& c) {
  const auto id = c.subscription_id = subscription_id(c.topics, c.subscription);
  const auto type = c.query.contains("subscriptionType") ? c.query["subscriptionType"] : "Exclusive";
  for (const auto& [other_id, other] : clients_)
    if (other.w->role == "consumer" && other.subscription_id == id && type == "Exclusive")
      return net_.refuse(*c.w, 409);
  auto& s = subscriptions_[id];
  if (s.name.empty()) {
    s.name = c.subscription;
    s.durable = c.query["subscriptionMode"] != "NonDurable";
    s.from_the_beginning = c.query["subscriptionInitialPosition"] == "Earliest";
    if (c.query.contains("topicsPattern")) {
      s.pattern = c.topics.front();
      for (auto& [name, t] : topics_)
        if (std::regex_match(name, std::regex{s.pattern}))
          join(s, t);
    } else {
      for (const auto& name : c.topics)
        join(s, topic(name));
    }
  }
  s.type = type;
  s.most_redeliveries = static_cast<int>(parameter(c, "maxRedeliverCount", 0));
  s.dead_letters =
    c.query.contains("deadLetterTopic") ? c.query["deadLetterTopic"] : c.topics.front() + "-" + c.subscription + "-DLQ";
  c.pull = c.query["pullMode"] == "true";
  c.patience = parameter(c, "ackTimeoutMillis", 0) * 1000;
  c.refusal_delay = parameter(c, "negativeAckRedeliveryDelay", 60'000) * 1000;
  c.queue = std::min<std::size_t>(1000, static_cast<std::size_t>(parameter(c, "receiverQueueSize", 1000)));
  auto& w = *c.w;
  clients_.emplace(w.id, std::move(c));
  note_use();
  net_.accept(w);
  deliver();
}

void broker::open_reader(client& c) {
  auto& t = topic(c.topics.front());
  const auto from = c.query.contains("messageId") ? c.query["messageId"] : "latest";
  if (from == "earliest")
    c.next = 0;
  else if (from == "latest")
    c.next = t.log.size();
  else if (const auto p = find(from))
    c.next = p->second + 1;
  else
    return net_.refuse(*c.w, 500);
  c.queue = std::min<std::size_t>(1000, static_cast<std::size_t>(parameter(c, "receiverQueueSize", 1000)));
  c.reads = spot{&t, 0};
  auto& w = *c.w;
  clients_.emplace(w.id, std::move(c));
  note_use();
  net_.accept(w);
  deliver();
}

void broker::on_end(wire& w) {
  const auto found = clients_.find(w.id);
  if (found == clients_.end())
    return;
  trace_([&] { return "broker loses " + w.name(); });
  auto c = std::move(found->second);
  clients_.erase(found);
  if (c.batching && random_.chance(0.5))
    flush(c); // otherwise what it gathered is gone
  if (w.role == "consumer") {
    const auto id = c.subscription_id;
    auto& s = subscriptions_[id];
    for (const auto* list : {&c.refused, &c.overdue})
      for (const auto& [at, p] : *list)
        c.unacknowledged.push_back(p);
    std::sort(c.unacknowledged.begin(), c.unacknowledged.end(), [](const spot& a, const spot& b) {
      return std::pair{a.first->name, a.second} < std::pair{b.first->name, b.second};
    });
    c.unacknowledged.erase(std::unique(c.unacknowledged.begin(), c.unacknowledged.end()), c.unacknowledged.end());
    for (const auto& p : c.unacknowledged)
      if (!s.acknowledged.contains(p)) // and its count stays: Pulsar 4.0 raises it for refusals and time-outs alone
        s.again.push_back(p);
    std::sort(s.again.begin(), s.again.end(), [](const spot& a, const spot& b) {
      return std::pair{a.first->name, a.second} < std::pair{b.first->name, b.second};
    });
    s.again.erase(std::unique(s.again.begin(), s.again.end()), s.again.end());
    const bool alone = std::none_of(clients_.begin(), clients_.end(), [&](const auto& other) {
      return other.second.w->role == "consumer" && other.second.subscription_id == id;
    });
    if (!s.durable && alone)
      subscriptions_.erase(id);
  }
  note_use();
  deliver();
}

void broker::drop(wire& w) {
  if (w.broker != side::open)
    return;
  net_.hang_up(w, 1001, "simulated");
  on_end(w);
}

bool broker::forget(wire& w) {
  if (w.broker != side::open || !clients_.contains(w.id) || w.role == "producer")
    return false;
  on_end(w);
  return true;
}

void broker::crash() {
  up = false;
  net_.unreachable = true;
  lose([](const wire&) { return true; });
}

void broker::lose_host(const std::string& host) {
  net_.hosts_down.insert(host);
  lose([&](const wire& w) { return w.to.host == host; });
}

void broker::lose(const std::function<bool(const wire&)>& which) {
  std::vector<std::shared_ptr<wire>> all;
  for (const auto& [id, w] : net_.wires())
    if (which(*w))
      all.push_back(w);
  for (const auto& w : all) {
    net_.cut(*w, false);
    w->up.clear();
    if (std::exchange(w->broker, side::over) == side::open)
      on_end(*w);
  }
}

void broker::restart() {
  up = true;
  net_.unreachable = false;
  deliver();
}

// -- producing

void broker::on_frame(wire& w, const std::string& text) {
  const auto found = clients_.find(w.id);
  if (found == clients_.end())
    return;
  if (w.role == "producer")
    take_message(found->second, text);
  else
    take_word(found->second, text);
}

void broker::take_message(client& c, const std::string& text) {
  auto copy = text;
  protocol::json::document json;
  json.ParseInsitu<protocol::json::parse_flags>(copy.data());
  if (json.HasParseError() || !json.IsObject())
    return net_.reply(*c.w, R"({"result":"send-error:3","errorMsg":"cannot parse","errorCode":0})");
  const auto context = text_of(json, "context");
  stored_message m;
  m.payload = text_of(json, "payload");
  m.key = text_of(json, "key");
  if (const auto p = json.FindMember("properties"); p != json.MemberEnd() && p->value.IsObject())
    m.identity = text_of(p->value, "n");
  if (const auto param = text_of(json, "encryptionParam"); !param.empty())
    m.encryption = R"({"keys":)" + from_base64(c.query["encryptionKeys"]) + R"(,"param":")" + param
                   + R"(","algorithm":null,"compressionType":"NONE","uncompressedMessageSize":0,"batchSize":1})";
  m.at = net_.now;
  m.visible_at = net_.now + number_of(json, "deliverAfterMs") * 1000;
  // What is refused may or may not have a number, so that nobody could send again rightly what was refused in silence:
  // Pulsar refuses a numbered producer only with its connection.
  if (!c.numbered && random_.chance(failing)) {
    refused_on.insert(c.topics.front());
    if (random_.chance(nameless))
      return net_.reply(*c.w, R"({"result":"send-error:3","errorMsg":"simulated","errorCode":0})");
    return net_.reply(*c.w, R"({"result":"send-error:8","errorMsg":"simulated","context":")" + context
                              + R"(","errorCode":0})");
  }
  if (!c.batching)
    return store(c, std::move(m), context);
  if (c.pending_most > 0 && c.batch.size() >= c.pending_most
      && refused_on.insert(c.topics.front()).first != refused_on.end())
    return net_.reply(*c.w, R"({"result":"send-error:8","errorMsg":"ProducerQueueIsFullError","context":")" + context
                              + R"(","errorCode":0})");
  c.batch.emplace_back(context, std::move(m));
  if (c.batch.size() >= c.batch_most)
    flush(c);
  else
    c.batch_due = std::min(c.batch_due, net_.now + c.batch_delay);
}

void broker::flush(client& c) {
  c.batch_due = never;
  for (auto& [context, m] : std::exchange(c.batch, {}))
    store(c, std::move(m), context);
}

void broker::store(client& c, stored_message m, const std::string& context) {
  auto& t = topic(c.topics.front());
  auto id = base64("(-1,-1)");
  ++c.number;
  const auto last = t.last_number.find(c.name);
  if (c.numbered && last != t.last_number.end() && c.number <= last->second) {
    trace_([&] { return "drops " + m.identity + ", number " + std::to_string(c.number) + " of " + c.name; });
  } else {
    if (c.numbered)
      t.last_number[c.name] = c.number;
    id = base64(t.name + "|" + std::to_string(t.log.size()));
    trace_([&] { return "stores " + m.identity + " at " + std::to_string(t.log.size()) + " from " + c.w->name(); });
    t.log.push_back(std::move(m));
  }
  net_.reply(*c.w, R"({"result":"ok","messageId":")" + id + R"(","context":")" + context
                     + R"(","errorCode":0,"schemaVersion":0})");
  deliver();
}

// -- delivering

std::optional<spot> broker::find(const std::string& id) {
  const auto text = from_base64(id);
  const auto bar = text.find('|');
  if (bar == std::string::npos)
    return std::nullopt;
  return spot{&topic(text.substr(0, bar)), std::stoul(text.substr(bar + 1))};
}

void broker::send(client& c, const spot& p, int count) {
  const auto& m = p.first->log.at(p.second);
  std::string frame = R"({"messageId":")" + base64(p.first->name + "|" + std::to_string(p.second)) + R"(","payload":")"
                      + m.payload + R"(","properties":{"n":")" + m.identity
                      + R"("},"publishTime":"2026-01-01T00:00:00.000Z","redeliveryCount":)" + std::to_string(count);
  if (!m.key.empty())
    frame += R"(,"key":")" + m.key + '"';
  if (!m.encryption.empty() && !c.reads) // a reader is not told
    frame += R"(,"encryptionContext":)" + m.encryption;
  net_.reply(*c.w, frame + "}");
}

int broker::times(const subscription_model& s, const spot& p) {
  const auto found = s.count.find(p);
  return found == s.count.end() ? 0 : found->second;
}

/// Moves a message to the topic of dead letters, where it has been delivered often enough.
bool broker::bury(subscription_model& s, const spot& p) {
  auto m = p.first->log.at(p.second);
  trace_([&] { return "buries " + m.identity + " of " + s.name; });
  s.acknowledged.insert(p);
  m.by_broker = true;
  topic(s.dead_letters).log.push_back(std::move(m));
  return true;
}

bool broker::give(subscription_model& s, client& c, const spot& p) {
  if (s.most_redeliveries > 0 && times(s, p) > s.most_redeliveries)
    return bury(s, p);
  if (c.pull ? c.permits == 0 : c.pending >= c.queue)
    return false;
  c.permits -= c.pull ? 1 : 0;
  ++c.pending;
  c.unacknowledged.push_back(p);
  if (c.patience > 0)
    c.overdue.emplace_back(net_.now + c.patience, p);
  send(c, p, times(s, p));
  return true;
}

/// After a client or a subscription has come or gone: which topics nobody uses any more.
void broker::note_use() {
  for (auto& [name, t] : topics_) {
    const auto& topic_name = name;
    const bool used = std::any_of(clients_.begin(), clients_.end(),
                                  [&](const auto& c) { return c.second.topics.front() == topic_name; })
                      || std::any_of(subscriptions_.begin(), subscriptions_.end(),
                                     [&](const auto& s) { return s.second.begins.contains(topic_name); });
    t.unused_since = used ? never : std::min(t.unused_since, net_.now);
  }
}

void broker::deliver() {
  if (!up)
    return;
  for (auto& [id, s] : subscriptions_)
    deliver(id, s);
  for (auto& [id, c] : clients_)
    if (c.reads)
      while (c.next < c.reads->first->log.size() && c.pending < c.queue) {
        ++c.pending;
        send(c, {c.reads->first, c.next++}, 0);
      }
}

void broker::deliver(const std::string& id, subscription_model& s) {
  std::vector<client*> all;
  for (auto& [number, c] : clients_)
    if (c.subscription_id == id)
      all.push_back(&c);
  if (all.empty())
    return;
  if (s.type == "Failover" || s.type == "Exclusive")
    all.resize(1);
  const bool delays = s.type == "Shared" || s.type == "Key_Shared";
  const auto give_somebody = [&](const spot& p) {
    if (s.type == "Key_Shared")
      return give(s, *all[std::hash<std::string>{}(p.first->log[p.second].key) % all.size()], p);
    for (std::size_t i = 0; i < all.size(); ++i) {
      auto* c = all[(p.second + i) % all.size()];
      if (give(s, *c, p))
        return true;
    }
    return false;
  };
  while (!s.again.empty()) {
    const auto p = s.again.front();
    if (!s.acknowledged.contains(p) && !give_somebody(p))
      return;
    s.again.erase(s.again.begin());
  }
  for (std::size_t i = 0; i < s.topics.size(); ++i)
    for (auto* t = s.topics[i]; s.next[t->name] < t->log.size(); ++s.next[t->name]) {
      const auto next = s.next[t->name];
      const spot p{t, next};
      if (delays && t->log[next].visible_at > net_.now)
        s.delayed.emplace_back(t->log[next].visible_at, p);
      else if (!give_somebody(p))
        return;
    }
}

void broker::take_word(client& c, const std::string& text) {
  auto copy = text;
  protocol::json::document json;
  json.ParseInsitu<protocol::json::parse_flags>(copy.data());
  if (json.HasParseError() || !json.IsObject())
    return drop(*c.w);
  if (c.subscription == "-")
    return; // it has given that up
  const auto type = text_of(json, "type");
  if (type == "isEndOfTopic")
    return net_.reply(*c.w, R"({"endOfTopic":false})");
  if (type == "permit") {
    c.permits += static_cast<std::size_t>(number_of(json, "permitMessages"));
    if (on_permitted)
      on_permitted(*c.w, c.permits, c.unacknowledged.size());
    return deliver();
  }
  if (type == "unsubscribe") {
    const auto id = c.subscription_id;
    const auto& w = *c.w;
    std::size_t others = 0;
    for (const auto& [other_id, other] : clients_)
      others += other_id != w.id && other.w->role == "consumer" && other.subscription_id == id;
    if (others == 0) {
      c.unacknowledged.clear();
      c.refused.clear();
      c.overdue.clear();
      c.subscription = "-";
      c.subscription_id.clear();
      subscriptions_.erase(id);
      note_use();
      trace_([&] { return "subscription gone: " + id; });
    }
    return;
  }
  const auto p = find(text_of(json, "messageId"));
  if (!p)
    return drop(*c.w);
  c.pending -= c.pending > 0 ? 1 : 0;
  if (c.reads)
    return deliver();
  auto& s = subscriptions_[c.subscription_id];
  const auto one = std::find(c.unacknowledged.begin(), c.unacknowledged.end(), *p);
  const bool held = one != c.unacknowledged.end();
  if (held)
    c.unacknowledged.erase(one);
  std::erase_if(c.overdue, [&](const auto& x) { return x.second == *p; });
  if (type == "negativeAcknowledge") {
    if (!s.acknowledged.contains(*p))
      c.refused.emplace_back(net_.now + c.refusal_delay, *p);
  } else if (type.empty()) {
    std::erase_if(c.refused, [&](const auto& x) { return x.second == *p; });
    if (on_acknowledged)
      on_acknowledged(c.subscription_id, p->first->name, p->first->log.at(p->second).identity);
    s.acknowledged.insert(*p);
  } else {
    on_violation("the client sent an unknown frame: " + text);
  }
  deliver();
}

// -- time

micros broker::next_due() const {
  micros next = never;
  for (const auto& [id, c] : clients_) {
    next = std::min(next, c.batch_due);
    for (const auto* list : {&c.refused, &c.overdue})
      for (const auto& [at, p] : *list)
        next = std::min(next, at);
  }
  for (const auto& [id, s] : subscriptions_)
    for (const auto& [at, p] : s.delayed)
      next = std::min(next, at);
  for (const auto& [name, t] : topics_)
    if (deletes(t) && t.unused_since != never && t.deleted < t.log.size())
      next = std::min(next, t.unused_since + inactive);
  return next;
}

bool broker::act() {
  bool did = false;
  for (auto& [name, t] : topics_)
    if (deletes(t) && t.unused_since != never && t.unused_since + inactive <= net_.now && t.deleted < t.log.size()) {
      trace_([&] { return "deletes what is on " + t.name; });
      t.deleted = t.log.size();
      return true;
    }

  const auto again = [&](subscription_model& s, const spot& p, bool counts) {
    did = true;
    if (s.acknowledged.contains(p))
      return;
    if (counts && s.most_redeliveries > 0 && times(s, p) >= s.most_redeliveries) {
      bury(s, p);
    } else if (std::find(s.again.begin(), s.again.end(), p) == s.again.end()) {
      s.count[p] += counts ? 1 : 0;
      s.again.push_back(p);
    }
  };
  for (auto& [id, c] : clients_) {
    if (c.batch_due <= net_.now) {
      flush(c);
      return true;
    }
    for (auto* list : {&c.refused, &c.overdue}) {
      std::vector<spot> due;
      std::erase_if(*list, [&](const auto& x) {
        if (x.first > net_.now)
          return false;
        due.push_back(x.second);
        return true;
      });
      for (const auto& p : due) {
        std::erase(c.unacknowledged, p);
        again(subscriptions_[c.subscription_id], p, true);
      }
    }
  }
  for (auto& [id, s] : subscriptions_)
    std::erase_if(s.delayed, [&](const auto& x) {
      if (x.first > net_.now)
        return false;
      again(s, x.second, false);
      return true;
    });
  if (did)
    deliver();
  return did;
}

// -- administration

/// Who is on a topic, by their names.
std::string broker::stats(const std::string& path) const {
  std::string consumers;
  for (const auto& [id, c] : clients_) {
    const auto name = c.query.find(c.reads ? "readerName" : "consumerName");
    for (const auto& topic : c.topics)
      if (name != c.query.end() && path.find("/" + topic.substr(topic.find("://") + 3) + "/") != std::string::npos)
        consumers += (consumers.empty() ? R"({"consumerName":")" : R"(,{"consumerName":")") + name->second + R"("})";
  }
  return R"({"subscriptions":{"all":{"consumers":[)" + consumers + "]}}}";
}

caf::expected<std::string> broker::rest(std::string_view method, const std::string& path) {
  if (!up)
    return make_error(errc::connection_failed, "simulated: no broker");
  if (method == "GET" && path.ends_with("/deduplication"))
    return std::string{path.find("once") != std::string::npos ? "true" : "false"};
  if (method == "GET" && path.ends_with("/partitions"))
    return std::string{R"({"partitions":0})"};
  if (method == "GET" && path.ends_with("/subscriptions")) {
    std::string names;
    for (const auto& [id, s] : subscriptions_)
      for (const auto* t : s.topics)
        if (path.find("/" + t->name.substr(t->name.find("://") + 3) + "/") != std::string::npos)
          names += (names.empty() ? "\"" : ",\"") + s.name + "\"";
    return "[" + names + "]";
  }
  if (method == "GET" && path == "brokers/version")
    return std::string{"4.0.0"};
  if (method == "GET" && path.ends_with("/stats"))
    return stats(path);
  if (method == "GET")
    return std::string{"{}"};
  return std::string{};
}

} // namespace stargate::simulation
