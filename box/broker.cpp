#include "box/broker.hpp"

#include "box/administration.hpp"
#include "box/producer.hpp"
#include "box/receiver.hpp"
#include "box/settings.hpp"

#include "libstargate/protocol/percent.hpp"
#include "web/status.hpp"

#include <algorithm>
#include <utility>
#include <vector>

namespace stargate::box {

namespace {

std::vector<std::string> split(std::string_view text, char by) {
  std::vector<std::string> parts;
  for (std::size_t at = 0; at <= text.size();) {
    const auto end = std::min(text.find(by, at), text.size());
    parts.emplace_back(text.substr(at, end - at));
    at = end + 1;
  }
  return parts;
}

std::string decoded(std::string_view text, bool plus_is_blank) {
  std::string copy{text};
  if (plus_is_blank)
    std::replace(copy.begin(), copy.end(), '+', ' ');
  return protocol::percent_decode(copy).value_or(copy);
}

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&': out += "&amp;"; break;
      case '<': out += "&lt;"; break;
      case '>': out += "&gt;"; break;
      case '"': out += "&quot;"; break;
      case '\'': out += "&apos;"; break;
      default: out += c;
    }
  }
  return out;
}

constexpr std::string_view authentication_required = "Authentication required";

/// Of somebody whom the broker knows.
struct not_let_in {
  int status;
  std::string_view text;
};

query query_of(std::string_view target) {
  query q;
  if (const auto question = target.find('?'); question != std::string_view::npos)
    for (const auto& pair : split(target.substr(question + 1), '&'))
      if (const auto equals = pair.find('='); equals != std::string::npos)
        q.emplace(decoded(pair.substr(0, equals), true), decoded(pair.substr(equals + 1), true));
  return q;
}

/// What the broker behind the WebSocket service says.
std::string said_by_broker(const std::string& why) {
  return R"({"errorMsg":")" + why + R"(","reqId":1, "remote":"localhost/127.0.0.1:6650", "local":"/127.0.0.1:49152"})";
}

[[noreturn]] void server_error(const std::string& why) {
  throw refusal{500, "java.lang.IllegalArgumentException" + (why.empty() ? "" : ": " + why)};
}

/// Of /ws/v2/<kind>/persistent/tenant/namespace/topic.
std::string topic_in(const std::vector<std::string>& parts, std::size_t end) {
  if (parts.size() < 8)
    server_error("Invalid topic name format");
  if (parts[4] != "persistent" && parts[4] != "non-persistent")
    server_error("");
  auto topic = parts[7];
  for (std::size_t i = 8; i < end; ++i)
    if (!parts[i].empty())
      topic += "/" + parts[i];
  return parts[4] + "://" + decoded(parts[5], false) + "/" + decoded(parts[6], false) + "/" + decoded(topic, false);
}

receiver_topics topics_in(const query& q) {
  const auto topics = q.find("topics");
  const auto pattern = q.find("topicsPattern");
  if (topics == q.end() && pattern == q.end())
    server_error("Should set topics or topicsPattern");
  if (topics != q.end() && pattern != q.end())
    server_error("Topics must be null when use topicsPattern");
  receiver_topics all;
  if (pattern != q.end()) {
    all.pattern = pattern->second;
    return all;
  }
  for (const auto& name : split(topics->second, ',')) {
    const auto place = parse_topic(name);
    if (!place)
      server_error(name.find('/') == std::string::npos || name.empty()
                     ? "Invalid short topic name '" + name
                         + "', it should be in the format of <tenant>/<namespace>/<topic> or <topic>"
                     : "Invalid topic name: " + name);
    all.names.push_back(to_string(*place));
  }
  return all;
}

} // namespace

answer error_page(int status, std::string_view message, std::string_view target) {
  const auto code = std::to_string(status);
  const auto text = escaped(message);
  return {status,
          "<html>\n<head>\n<meta http-equiv=\"Content-Type\" content=\"text/html;charset=ISO-8859-1\"/>\n<title>Error "
            + code + " " + text + "</title>\n</head>\n<body><h2>HTTP ERROR " + code + " " + text
            + "</h2>\n<table>\n<tr><th>URI:</th><td>" + escaped(target.substr(0, target.find('?')))
            + "</td></tr>\n<tr><th>STATUS:</th><td>" + code + "</td></tr>\n<tr><th>MESSAGE:</th><td>" + text
            + "</td></tr>\n</table>\n</body>\n</html>\n",
          "text/html;charset=iso-8859-1"};
}

broker::broker(std::int64_t wall_clock, broker_settings s) : all_{timers_}, access_{std::move(s.access)} {
  timers_.began = wall_clock;
  all_.creates_topics = s.creates_topics;
  all_.deduplicates = s.deduplicates;
}

std::optional<caller> broker::caller_with(std::string_view authorization, std::string_view target) const {
  if (!access_)
    return caller{};
  constexpr std::string_view bearer = "Bearer ";
  if (authorization.starts_with(bearer))
    return caller_of(authorization.substr(bearer.size()), *access_, timers_.wall() / 1000);
  const auto q = query_of(target);
  const auto token = q.find("token");
  return authorization.empty() && token != q.end() ? caller_of(token->second, *access_, timers_.wall() / 1000)
                                                   : std::nullopt;
}

std::shared_ptr<connection> broker::open(std::string_view target, std::shared_ptr<peer> to, answer& refused,
                                         std::string_view authorization) {
  const auto parts = split(target.substr(0, target.find('?')), '/');
  const auto q = query_of(target);
  const auto refuse = [&](int status, std::string_view why) {
    refused = error_page(status, why, target);
    return nullptr;
  };
  const bool is_ws = parts.size() > 3 && parts[1] == "ws" && (parts[2] == "v2" || parts[2] == "v3");
  if (parts.size() > 2 && parts[1] == "ws" && !is_ws
      && (parts[2] == "producer" || parts[2] == "consumer" || parts[2] == "reader"))
    return refuse(404, "Not Found: this broker in a box has no API of version 1, use /ws/v2");
  const auto kind = is_ws ? parts[3] : std::string{};
  if ((kind != "producer" && kind != "reader" && kind != "consumer") || (parts[2] == "v3" && kind != "consumer"))
    return refuse(404, web::phrase_of(404));
  const auto who = caller_with(authorization, target);
  if (!who)
    return refuse(401, authentication_required);
  const auto must_be_allowed = [&](action what, const std::string& topic) {
    if (!access_)
      return;
    if (may(*who, what, topic, all_, *access_))
      return;
    if (!all_.namespaces.contains(namespace_of(topic)))
      throw not_let_in{500, "Server error"};
    throw not_let_in{403, "Not authorized"};
  };
  const std::string failed = kind == "reader" ? "Failed to create reader: " : "Failed to create producer/consumer: ";
  bool named = false; // whether the topic is known, so that what fails is Pulsar's own client
  try {
    if (kind == "producer") {
      const auto topic = topic_in(parts, parts.size());
      named = true;
      const auto s = read_producer(q);
      must_be_allowed(action::produce, topic);
      return make_producer(all_, topic, s, std::move(to));
    }
    if (kind == "reader") {
      const auto topic = topic_in(parts, parts.size());
      named = true;
      const auto from = q.find("messageId");
      const auto s = read_reader(q);
      must_be_allowed(action::consume, topic);
      return make_reader(all_, topic, from == q.end() ? "latest" : from->second, s, std::move(to));
    }
    if (parts[2] == "v3") {
      if (parts.size() != 5 || parts[4].empty())
        server_error("Invalid topic name format");
      auto topics = topics_in(q);
      named = true;
      const auto s = read_consumer(q);
      for (const auto& topic : topics.names)
        must_be_allowed(action::consume, topic);
      if (!topics.pattern.empty())
        must_be_allowed(action::consume, topics.pattern);
      return make_consumer(all_, std::move(topics), decoded(parts[4], false), s, std::move(to));
    }
    const auto topic = topic_in(parts, parts.size() - 1);
    named = true;
    if (parts.size() < 9)
      throw refusal{400, "Invalid query params: Invalid topic name format"};
    if (parts.back().empty())
      throw refusal{400, "Invalid query params: Empty subscription name"};
    const auto s = read_consumer(q);
    must_be_allowed(action::consume, topic);
    return make_consumer(all_, {{topic}, {}}, decoded(parts.back(), false), s, std::move(to));
  } catch (const not_let_in& why) {
    return refuse(why.status, why.text);
  } catch (const refusal& r) {
    const std::string why = r.what();
    if (!named || r.status == 400 || why.starts_with("Failed to create") || why.starts_with("java.lang.NumberFormat"))
      return refuse(r.status, why);
    const auto status = kind == "reader" ? 500 : r.status; // to readers, everything is that
    if (!r.is_the_brokers)
      return refuse(status, failed + why);
    if (kind != "producer" && why.starts_with("Topic not found"))
      return refuse(status, failed + said_by_broker(""));
    if (why.starts_with("\n")) { // a topic with partitions
      const auto end = why.find('\n', 1);
      const auto topic = why.substr(1, end - 1);
      return refuse(status, failed + "Failed to subscribe " + topic + " with " + std::to_string(all_.partitions(topic))
                              + " partitions\n" + said_by_broker(why.substr(end + 1)));
    }
    return refuse(status, failed + said_by_broker(why));
  }
}

answer broker::request(std::string_view method, std::string_view target, std::string_view body,
                       std::string_view authorization) {
  const auto who = caller_with(authorization, target);
  if (!who)
    return error_page(401, authentication_required, target);
  if (!access_)
    return administer(all_, method, target, body, {});
  if (!who->role)
    return error_page(500, "Request failed.", target);
  return administer(all_, method, target, body,
                    [&](const std::vector<std::string>& path) { check_request(*who, method, path, all_, *access_); });
}

} // namespace stargate::box
